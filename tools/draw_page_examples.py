"""Draw the example strips of the operator's page: ``python -m tools.draw_page_examples``."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from model_export.data.synthetic import draw_strip
from service.geometry import Strip

FOLDER = Path(__file__).parents[1] / "service" / "page" / "static" / "examples"
CLASSES = {1: "pitting", 2: "vertical line", 3: "scratch", 4: "patch"}
STRIPS: tuple[tuple[str, tuple[int, ...], int], ...] = (
    ("drawn-pitting.jpg", (1,), 100),
    ("drawn-vertical-line.jpg", (2,), 103),
    ("drawn-scratch.jpg", (3,), 101),
    ("drawn-patch.jpg", (4,), 102),
    ("drawn-scratch-and-patch.jpg", (3, 4), 101),
    ("drawn-three-kinds.jpg", (1, 2, 4), 108),
    ("drawn-clean.jpg", (), 17),
)
"""File name, classes and seed of each strip."""
BLIND = "drawn-out-of-focus.jpg"
_QUALITY = 80
_CROP = (240, 160)


def main() -> None:
    """Write the strips, a picture of each class, and the list that the page reads."""
    FOLDER.mkdir(exist_ok=True)
    crops: dict[str, str] = {}
    for name, classes, seed in STRIPS:
        strip, masks = draw_strip(np.random.default_rng(seed), frozenset(classes))
        _save(strip, name)
        if len(classes) == 1:
            kind = CLASSES[classes[0]]
            crops[kind] = f"class-{kind.replace(' ', '-')}.jpg"
            _save(_around(strip, masks[classes[0] - 1]), crops[kind])
    focused, _ = draw_strip(np.random.default_rng(18), frozenset({3}))
    blurred = Image.fromarray(focused).filter(ImageFilter.GaussianBlur(8))
    _save(np.asarray(blurred), BLIND)
    listed = {
        "width": 1600,
        "height": 256,
        "classes": crops,
        "strips": [*(name for name, *_ in STRIPS), BLIND],
    }
    (FOLDER / "examples.json").write_text(json.dumps(listed, indent=1) + "\n")


def _save(pixels: Strip, name: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    (FOLDER / name).write_bytes(buffer.getvalue())


def _around(strip: Strip, mask: Strip) -> Strip:
    """Cut a picture out of a strip around the middle of its mask."""
    width, height = _CROP
    rows, columns = np.nonzero(mask)
    middles: Sequence[float] = (float(np.median(columns)), float(np.median(rows)))
    left, top = (
        int(np.clip(middle - size / 2, 0, limit - size))
        for middle, size, limit in zip(middles, _CROP, strip.shape[::-1], strict=True)
    )
    return strip[top : top + height, left : left + width]


if __name__ == "__main__":
    main()
