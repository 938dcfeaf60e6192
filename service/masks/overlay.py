"""Draw coloured masks over a frame."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from service.geometry import ColumnMask, Mask, Strip
from service.masks.fonts import Font, drawable, load_font
from service.masks.palette import COLOURS

_LEGEND = 28
"""Height of a line below the picture, in pixels of a picture of 1600 columns."""
_FONT = 16
_WIDE = 1600
_ROWS = 256
"""Rows that are coloured at a time: floats of a large frame take hundreds of megabytes."""


class Layer(NamedTuple):
    """One class in a picture."""

    position: int
    """Of the class in the model's list, which gives its colour."""
    caption: str
    mask: ColumnMask | None
    """Bool ``[width, height]``; None draws the caption alone."""


def class_caption(class_id: int, name: str, probability: float | None = None) -> str:
    """Return the caption of a class: its id, its name and, if given, its probability in per cent."""
    return f"{class_id} {name}" + ("" if probability is None else f" {probability:.0%}")


def draw_overlay(strip: Strip, layers: Sequence[Layer], verdict: str | None = None) -> bytes:
    """Draw masks over a frame, uint8 ``[height, width]``; return a PNG.

    Each mask is tinted and outlined; below the frame stand a caption per layer and, if given, the verdict.
    The text is larger below frames of twice 1600 columns and more, and wrapped below narrower ones.
    """
    height, width = strip.shape
    scale = max(1, round(width / _WIDE))
    captions = [layer.caption for layer in layers]
    font = load_font([*captions, verdict or ""], _FONT * scale)
    captions = [drawable(caption, font) for caption in captions]
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    places, lines = _place_captions(measure, font, captions, width, scale)
    reasons = [] if verdict is None else _wrapped(measure, font, drawable(verdict, font), width, scale)
    canvas = Image.new("RGB", (width, height + (lines + len(reasons)) * _LEGEND * scale), "white")
    for top in range(0, height, _ROWS):
        canvas.paste(Image.fromarray(_coloured(strip, layers, top)), (0, top))
    draw = ImageDraw.Draw(canvas)
    for layer, caption, (x, line) in zip(layers, captions, places, strict=True):
        y = height + line * _LEGEND * scale
        box = (x, y + 7 * scale, x + 14 * scale, y + 21 * scale)
        draw.rectangle(box, fill=COLOURS[layer.position])
        draw.text((x + 20 * scale, y + 4 * scale), caption, fill="black", font=font)
    for number, text in enumerate(reasons, lines):
        y = height + number * _LEGEND * scale
        draw.text((8 * scale, y + 2 * scale), text, fill="black", font=font)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _coloured(strip: Strip, layers: Sequence[Layer], top: int) -> npt.NDArray[np.uint8]:
    """Colour some rows of a frame, from ``top`` on: uint8 ``[rows, width, 3]``."""
    grey = strip[top : top + _ROWS].astype(np.float32)
    colours = np.stack([grey, grey, grey], axis=-1)
    before = min(top, 2)  # as far as an outline looks
    inside = slice(before, before + len(grey))
    for layer in layers:
        if layer.mask is None:
            continue
        mask = np.ascontiguousarray(layer.mask[:, top - before : top + _ROWS + 2].T)
        if not mask.any():
            continue
        colour = np.array(COLOURS[layer.position], dtype=np.float32)
        tinted = mask[inside]
        colours[tinted] = 0.7 * colours[tinted] + 0.3 * colour
        colours[_outline(mask)[inside]] = colour
    return colours.clip(0, 255).astype(np.uint8)


def _place_captions(
    measure: ImageDraw.ImageDraw, font: Font, captions: Sequence[str], width: int, scale: int
) -> tuple[list[tuple[int, int]], int]:
    """Return x and line of each caption, and the number of lines."""
    places: list[tuple[int, int]] = []
    x, line = 8 * scale, 0
    for caption in captions:
        length = int(measure.textlength(caption, font=font))
        if x > 8 * scale and x + 20 * scale + length > width:
            x, line = 8 * scale, line + 1
        places.append((x, line))
        x += 40 * scale + length
    return places, line + 1


def _wrapped(measure: ImageDraw.ImageDraw, font: Font, text: str, width: int, scale: int) -> list[str]:
    """Split a text into lines that fit below a narrow frame; below a wide one it is one line."""
    if width >= _WIDE:
        return [text]
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and measure.textlength(longer, font=font) > width - 16 * scale:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


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
