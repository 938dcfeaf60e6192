"""Soft targets: outputs of teachers for strips, computed once and found again by the pixels of the strip."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.data.digest import strip_digest
from model_export.data.kaggle import read_image
from model_export.data.labelled_strip import Masks
from model_export.data.tile import Shape
from model_export.errors import DataError
from service.geometry import BitDepth, Strip

REDUCTION = 4
"""Factor by which soft masks are smaller than the strip, on each side; decoders answer no finer."""

_INDEX, _MASKS, _CLASSES = "index.json", "masks.npy", "classes.npy"


def reduced(shape: Shape) -> Shape:
    """Return rows and columns of the soft masks of a strip of so many rows and columns."""
    height, width = shape
    return -(-height // REDUCTION), -(-width // REDUCTION)


class SoftTarget(NamedTuple):
    """What the teachers see on one strip."""

    masks: npt.NDArray[np.uint8]
    """uint8 ``[classes, *reduced(shape)]``: 255 x mean probability of a square of pixels."""
    classes: npt.NDArray[np.float32]
    """float32 ``[classes]``: mean probability that the strip holds a defect of the class."""

    def enlarge(self, shape: Shape) -> npt.NDArray[np.uint8]:
        """Return the masks at the resolution of the strip, uint8 ``[classes, height, width]``."""
        large = self.masks.repeat(REDUCTION, axis=1).repeat(REDUCTION, axis=2)
        return large[:, : shape[0], : shape[1]]


class SoftTargets:
    """The soft targets of many strips, read from the folder that ``write_soft_targets`` wrote.

    Raises:
        DataError: if there are none, or another version wrote them.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / _INDEX).is_file():
            raise DataError(f"there are no soft targets in {folder}; soft-targets writes them")
        index = json.loads((folder / _INDEX).read_text())
        self.seen = frozenset(index["seen"])
        """Digests of the strips that shaped the teachers."""
        if "shapes" not in index:
            raise DataError(f"{folder} was written by another version: soft-targets writes it anew")
        self._rows = {digest: row for row, digest in enumerate(index["strips"])}
        self._masks = np.load(folder / _MASKS, mmap_mode="r")
        self._classes = np.load(folder / _CLASSES)
        self._shapes: list[Shape] = [(height, width) for height, width in index["shapes"]]
        sizes = self._classes.shape[1] * np.array(self._shapes).prod(axis=1, dtype=np.int64)
        self._starts = np.concatenate([[0], sizes.cumsum()])

    def __contains__(self, digest: str) -> bool:
        return digest in self._rows

    def find(self, strip: Strip) -> SoftTarget | None:
        """Return what the teachers see on a strip; None if they were not asked."""
        row = self._rows.get(strip_digest(strip))
        if row is None:
            return None
        pixels = np.asarray(self._masks[self._starts[row] : self._starts[row + 1]])
        return SoftTarget(pixels.reshape(-1, *self._shapes[row]), self._classes[row])


def write_soft_targets(
    folder: Path, targets: Mapping[str, SoftTarget], seen: frozenset[str], teachers: Sequence[str]
) -> None:
    """Write soft targets; ``index.json`` comes last, so that a folder with it is complete.

    Args:
        folder: created if it is missing.
        targets: by digest of the strip.
        seen: digests of the strips that shaped the teachers.
        teachers: their names, for people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # One after the other, since strips may differ in size.
    np.save(folder / _MASKS, np.concatenate([target.masks.reshape(-1) for target in targets.values()]))
    np.save(folder / _CLASSES, np.stack([target.classes for target in targets.values()]))
    index = {
        "strips": list(targets),
        "shapes": [target.masks.shape[1:] for target in targets.values()],
        "seen": sorted(seen),
        "teachers": list(teachers),
    }
    (folder / _INDEX).write_text(json.dumps(index))


@dataclass(frozen=True)
class UnlabelledStrip:
    """An image whose masks only teachers have guessed."""

    path: Path
    target: SoftTarget
    bits: BitDepth | None = None
    """Of a pixel, if the file has 16 bits."""

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes that the teachers think more likely than not; they balance samples."""
        return frozenset(np.flatnonzero(self.target.classes >= 0.5).tolist())

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, and the guessed masks, which only place crops."""
        image = read_image(self.path, self.bits)
        return image, self.target.enlarge(image.shape) >= 128
