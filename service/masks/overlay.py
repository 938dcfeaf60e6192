"""Draw coloured masks over a strip."""

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.geometry import HEIGHT, WIDTH, ColumnMask, Mask, Strip

COLOURS: dict[int, tuple[int, int, int]] = {
    # Okabe and Ito's palette: distinguishable with any kind of colour vision.
    1: (230, 159, 0),
    2: (86, 180, 233),
    3: (0, 158, 115),
    4: (204, 121, 167),
}
_LEGEND = 28


def class_caption(class_id: int, name: str, probability: float | None = None) -> str:
    """Return the caption of a class: its id, its name and, if given, its probability in per cent."""
    return f"{class_id} {name}" + ("" if probability is None else f" {probability:.0%}")


def draw_overlay(
    strip: Strip, masks: Mapping[int, ColumnMask], captions: Mapping[int, str], verdict: str | None = None
) -> bytes:
    """Draw masks (column-major bool ``[1600, 256]``, by class id) over a strip; return a PNG.

    Each mask is tinted and outlined; below the strip stand a caption per class and, if given,
    the verdict.
    """
    grey = strip.astype(np.float32)
    colours = np.stack([grey, grey, grey], axis=-1)
    for class_id, columns in masks.items():
        mask = columns.T
        colour = np.array(COLOURS[class_id], dtype=np.float32)
        colours[mask] = 0.7 * colours[mask] + 0.3 * colour
        colours[_outline(mask)] = colour
    canvas = Image.new("RGB", (WIDTH, HEIGHT + (1 if verdict is None else 2) * _LEGEND), "white")
    canvas.paste(Image.fromarray(colours.clip(0, 255).astype(np.uint8)))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(16)
    x = 8
    for class_id, caption in captions.items():
        draw.rectangle((x, HEIGHT + 7, x + 14, HEIGHT + 21), fill=COLOURS[class_id])
        draw.text((x + 20, HEIGHT + 4), caption, fill="black", font=font)
        x += 40 + int(draw.textlength(caption, font=font))
    if verdict is not None:
        draw.text((8, HEIGHT + _LEGEND + 2), verdict, fill="black", font=font)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _outline(mask: Mask) -> Mask:
    """Return the pixels of a mask within 2 pixels of its border, along rows and columns."""
    inner = mask.copy()
    for step in (1, 2):
        inner[step:] &= mask[:-step]
        inner[:-step] &= mask[step:]
        inner[:, step:] &= mask[:, :-step]
        inner[:, :-step] &= mask[:, step:]
    outline: Mask = mask & ~inner
    return outline
