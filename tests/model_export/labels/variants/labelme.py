"""LabelMe's files."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.model_export.labels.variants.scene import (
    BOXES,
    HEIGHT,
    WIDTH,
    Variant,
    corners,
    without,
    write_images,
)
from tests.support.images import encoded

NAMED = {"class_names": ("rust", "dent")}


def polygon(stem: str, name: str) -> dict[str, Any]:
    points = np.reshape(corners(BOXES[stem][name]), (-1, 2)).tolist()
    return {"label": name, "shape_type": "polygon", "points": points, "group_id": None, "flags": {}}


def painted(stem: str, name: str) -> dict[str, Any]:
    left, top, right, bottom = BOXES[stem][name]
    pixels = Image.fromarray(np.full((bottom - top, right - left), 255, dtype=np.uint8))
    return {
        "label": name,
        "shape_type": "mask",
        "points": [[left, top], [right - 1, bottom - 1]],
        "mask": base64.b64encode(encoded(pixels, "PNG")).decode(),
    }


def files(
    shape: Callable[[str, str], dict[str, Any]] = polygon,
    change: Callable[[dict[str, Any]], object] = lambda document: None,
    path: str = "{}.png",
    stems: str = "abc",
) -> Callable[[Path], None]:
    """Return what writes images and a file beside each; that of b.png is changed."""

    def build(folder: Path) -> None:
        write_images(folder, "{}.png")
        for stem in stems:
            document = {
                "version": "5.5.0",
                "flags": {"checked": True},
                "shapes": [shape(stem, name) for name in BOXES[stem]],
                "imagePath": path.format(stem),
                "imageData": None,
                "imageHeight": HEIGHT,
                "imageWidth": WIDTH,
            }
            if stem == "b":
                change(document)
            (folder / f"{stem}.json").write_text(json.dumps(document))

    return build


def of_b(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["shapes"][0].update(changes)


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    more.setdefault("options", NAMED)
    return Variant("LabelMe", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str) -> Variant:
    return Variant("LabelMe", title, build, None, says, NAMED, ("a", "c"))


VARIANTS = [
    _v("polygons", files(), "ignored, flags: 3"),
    _v("masks", files(painted)),
    _v("`imagePath` with a path of Windows", files(path="..\\pictures\\{}.png")),
    _v("an image without a file", files(stems="ab"), "1 image without a label", gives=without("c")),
    _no("a rectangle", files(change=of_b(shape_type="rectangle")), "got a rectangle of 'dent'"),
    _no("a line", files(change=of_b(shape_type="linestrip")), "got a linestrip of 'dent'"),
    _no("a mask that is no PNG", files(painted, of_b(mask="bm8=")), "the mask of 'dent' cannot be read"),
    _no(
        "a mask beyond the image",
        files(painted, of_b(points=[[95, 0], [99, 9]])),
        "expected a mask within 96x64",
    ),
    _no(
        "another size than the image",
        files(change=lambda document: document.update(imageHeight=WIDTH, imageWidth=HEIGHT)),
        "got 64x96: transposed",
    ),
]
