"""``tile-neu``: NEU_Seg as strips for pre-training, eight of its 200x200 images side by side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model_export.data.kaggle import write_kaggle
from model_export.data.labelled_strip import Masks
from model_export.data.severstal import CLASSES, HEIGHT, WIDTH
from model_export.errors import DataError
from service.errors import counted
from service.geometry import Strip

_SIDE = 200
_CLASSES = {1: 0, 2: 3, 3: 2}
"""NEU_Seg's labels of inclusions, patches and scratches to the position of Severstal's class that looks most
like them."""


@dataclass(frozen=True)
class TileConfig:
    """Tile NEU_Seg's images into strips in Kaggle's layout, for pre-training."""

    source: Path
    """The unpacked NEU_Seg, with images/training/*.jpg and annotations/training/*.png."""
    out: Path
    """Folder for train.csv and train_images/."""


@dataclass(frozen=True)
class TiledStrip:
    """Eight images of 200x200 as one strip, extended to its height by mirroring at the lower edge."""

    number: int
    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    @property
    def name(self) -> str:
        """File name."""
        return f"neu-{self.number:04d}.png"

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the strip; opens the masks."""
        return frozenset(
            _CLASSES[value] for path in self.masks for value in np.unique(_read(path)).tolist() if value
        )

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[256, 1600]``, and its masks, bool ``[4, 256, 1600]``."""
        strip = _tile(self.images)
        indices = _tile(self.masks)
        masks = np.zeros((len(CLASSES), HEIGHT, WIDTH), dtype=np.bool_)
        for value, position in _CLASSES.items():
            masks[position] = indices == value
        return strip, masks


def tile_neu(config: TileConfig) -> None:
    """Write NEU_Seg's training images as strips in Kaggle's layout.

    Raises:
        DataError: if images or masks are missing.
    """
    images = sorted((config.source / "images" / "training").glob("*.jpg"))
    masks = [config.source / "annotations" / "training" / f"{path.stem}.png" for path in images]
    missing = [path.name for path in masks if not path.is_file()]
    if not images or missing:
        raise DataError(
            f"{config.source} is not NEU_Seg: expected images/training/*.jpg and annotations/training/*.png "
            f"of the same names, got {len(images)} images, {len(missing)} of them without a mask"
        )
    # The images are sorted by class; with this stride every strip holds images of each class.
    count = len(images) // (WIDTH // _SIDE)
    strips = [
        TiledStrip(number, tuple(images[number::count][:8]), tuple(masks[number::count][:8]))
        for number in range(count)
    ]
    write_kaggle(strips, config.out, "tiling")
    print(f"wrote {counted(count, 'strip')} into {config.out}")


def _tile(paths: tuple[Path, ...]) -> Strip:
    row = np.concatenate([_read(path) for path in paths], axis=1)
    return np.concatenate([row, row[: -(HEIGHT - _SIDE) - 1 : -1]])


def _read(path: Path) -> Strip:
    with Image.open(path) as image:
        pixels = np.asarray(image if image.mode == "P" else image.convert("L"))
    if pixels.shape != (_SIDE, _SIDE):
        raise DataError(f"{path}: expected {_SIDE}x{_SIDE} pixels, got {pixels.shape[1]}x{pixels.shape[0]}")
    return pixels
