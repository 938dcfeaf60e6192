"""CVAT for images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.model_export.labels.variants.scene import (
    BOXES,
    HEIGHT,
    WIDTH,
    Variant,
    corners,
    without,
    write_images,
)

LABELS = "".join(f"<label><name>{name}</name></label>" for name in ("rust", "dent"))
SUBSETS = {"a": "Train", "b": "Train", "c": "Test"}


def polygon(stem: str, name: str) -> str:
    values = corners(BOXES[stem][name])
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(values[::2], values[1::2], strict=True))
    return f'<polygon label="{name}" source="manual" occluded="0" points="{points}" z_order="0"></polygon>'


def painted(stem: str, name: str) -> str:
    """A mask in a box that is larger by one pixel where it can be."""
    left, top, right, bottom = BOXES[stem][name]
    start, first = max(0, left - 1), max(0, top - 1)
    box = np.zeros((bottom - first, right - start), dtype=np.bool_)
    box[top - first :, left - start :] = True
    pixels = box.reshape(-1)
    edges = np.flatnonzero(np.diff(pixels, prepend=False))
    counts = np.diff(edges, prepend=0, append=pixels.size)
    return (
        f'<mask label="{name}" source="manual" rle="{", ".join(map(str, counts))}" left="{start}" '
        f'top="{first}" width="{box.shape[1]}" height="{box.shape[0]}"></mask>'
    )


def xml(
    shape: Callable[[str, str], str] = polygon, more: str = "", subsets: bool = False, stems: str = "abc"
) -> str:
    """Return the scene; ``more`` is added to b.png."""
    images = [
        f'<image id="{number}" name="{stem}.png" width="{WIDTH}" height="{HEIGHT}"'
        + (f' subset="{SUBSETS[stem]}"' if subsets else "")
        + ">"
        + "".join(shape(stem, name) for name in BOXES[stem])
        + (more if stem == "b" else "")
        + "</image>"
        for number, stem in enumerate(stems)
    ]
    meta = f"<meta><task><labels>{LABELS}</labels></task></meta>"
    return f'<?xml version="1.0"?><annotations><version>1.1</version>{meta}{"".join(images)}</annotations>'


def file(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        write_images(folder, "images/{}.png")
        (folder / "annotations.xml").write_text(text)

    return build


BOX = '<box label="dent" xtl="1" ytl="1" xbr="9" ybr="9"></box>'
LONG = '<mask label="dent" rle="3, 90" left="0" top="0" width="9" height="9"></mask>'
OUTSIDE = '<polygon label="dent" points="10,10;10,200;20,200"></polygon>'
LOOP = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]>'


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    return Variant("CVAT", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str, *left: str) -> Variant:
    return Variant("CVAT", title, build, None, says, left=left or None)


VARIANTS = [
    _v("polygons", file(xml())),
    _v("masks", file(xml(painted))),
    _v("subsets", file(xml(subsets=True)), "sets         train 2, test 1"),
    _v("tags", file(xml(more='<tag label="dent"></tag>')), "ignored, tags: 1"),
    _v("an image that is not listed", file(xml(stems="ab")), "1 image without a label", gives=without("c")),
    _no("a box", file(xml(more=BOX)), "expected polygons and masks, got a box of 'dent'", "a", "c"),
    _no(
        "a mask whose counts do not add up",
        file(xml(more=LONG)),
        "add up to 81, 9x9 pixels, got 93",
        "a",
        "c",
    ),
    _no("a polygon beyond the image", file(xml(more=OUTSIDE)), "expected a polygon within 96x64", "a", "c"),
    _no("tracks of a video", file(xml().replace("<image", "<track></track><image", 1)), "got CVAT for video"),
    _no("XML that ends early", file(xml()[:-30]), "is not valid XML"),
    _no("entities", file(xml().replace("<annotations>", f"{LOOP}<annotations>")), "is not valid XML"),
]
