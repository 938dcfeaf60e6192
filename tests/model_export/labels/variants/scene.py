"""Three small images with known masks, and what a variant of their label file has to give."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.masks import rle

HEIGHT, WIDTH = 64, 96
CLASSES = {1: "rust", 2: "dent"}

Mask = npt.NDArray[np.bool_]
Scene = Mapping[str, Mapping[str, Mask]]
"""Masks, bool ``[64, 96]``, by the stem of the image and the name of the class; a clean image has none."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom; the last two do not belong to it."""

BOXES: Mapping[str, Mapping[str, Box]] = {
    "a": {"rust": (10, 8, 40, 20), "dent": (60, 40, 84, 52)},
    "b": {"dent": (90, 0, 96, 64)},
    "c": {},
}


def box_mask(box: Box, height: int = HEIGHT, width: int = WIDTH) -> Mask:
    """Return a filled rectangle."""
    mask = np.zeros((height, width), dtype=np.bool_)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = True
    return mask


SCENE: Scene = {stem: {name: box_mask(box) for name, box in boxes.items()} for stem, boxes in BOXES.items()}


@dataclass(frozen=True)
class Variant:
    """A label file, and what comes out."""

    format: str
    title: str
    """Of the row in docs/labels.md."""
    build: Callable[[Path], object]
    """Writes images and labels into an empty folder."""
    gives: Scene | None = field(default_factory=lambda: SCENE)
    """Masks of the layout; None: the variant is refused."""
    says: str = ""
    """Part of the page or the message."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of ``check``."""
    left: tuple[str, ...] | None = None
    """Of a variant that is refused, the stems of the images that --skip-bad leaves; None: nothing is left."""

    @property
    def outcome(self) -> str:
        """What docs/labels.md says of it."""
        if self.gives is None:
            kept = "" if self.left is None else "; `--skip-bad` keeps " + (", ".join(self.left) or "none")
            return f"refused: “{self.says}”{kept}"
        note = f"; says “{self.says}”" if self.says else ""
        if self.gives is SCENE:
            return f"the masks{note}"
        described = [
            f"{stem}: {', '.join(f'{name} {int(mask.sum())}' for name, mask in found.items()) or 'clean'}"
            for stem, found in self.gives.items()
        ]
        return f"{'; '.join(described)}{note}"


def without(*stems: str) -> Scene:
    """Return the scene without some images."""
    return {stem: found for stem, found in SCENE.items() if stem not in stems}


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """Return a noisy grey image."""
    pixels = np.random.default_rng(seed).integers(60, 200, (height, width), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_images(folder: Path, pattern: str = "train_images/{}.png", stems: str = "abc") -> None:
    """Write the images of the scene."""
    for stem in stems:
        path = folder / pattern.format(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(ord(stem)).save(path)


def write_classes(folder: Path) -> None:
    """Write the names of the classes."""
    listed = [{"id": number, "name": name} for number, name in CLASSES.items()]
    (folder / "classes.json").write_text(json.dumps(listed))


def code(mask: Mask) -> str:
    """Return Kaggle's code of a mask, bool ``[height, width]``."""
    return rle.encode(mask.T)


def corners(box: Box) -> list[float]:
    """Return the corners of a rectangle: x, y, x, y, …"""
    left, top, right, bottom = (float(value) for value in box)
    return [left, top, right, top, right, bottom, left, bottom]
