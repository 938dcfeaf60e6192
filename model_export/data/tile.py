"""The tile of a network, and images cut into tiles as the service cuts frames."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from model_export.errors import DataError
from service.geometry import Strip
from service.model.metadata import TILE_STEP, ModelMetadata
from service.model.tiles import TilePlan, cut_tiles, mirror, plan_tiles

_MOST_PIXELS = 1_048_576
"""Pixels of the largest tile that is chosen without being asked for."""

Shape = tuple[int, int]
"""Rows and columns of an image."""
Pixel = TypeVar("Pixel", bound=np.generic)


class Tile(NamedTuple):
    """What a network takes."""

    height: int
    width: int
    pad: bool = False
    """Whether smaller images are padded by mirroring."""

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.height, self.width

    def __str__(self) -> str:
        """Return the size as messages write it."""
        return f"{self.width}x{self.height}"

    @classmethod
    def of(cls, metadata: ModelMetadata) -> "Tile":
        """Return the tile of a model file."""
        return cls(metadata.height, metadata.width, metadata.pad)


@dataclass(frozen=True, slots=True)
class Frame:
    """An image, padded to a tile where it is smaller, and its tiles."""

    shape: Shape
    """Of the image as it was."""
    plan: TilePlan
    """Of the padded image."""
    tiles: list[Strip]
    """Views, uint8 ``[tile height, tile width]``, in the order of the plan."""

    def cut(self, planes: npt.NDArray[Pixel]) -> list[npt.NDArray[Pixel]]:
        """Pad and cut planes of the image, ``[classes, height, width]``, as it was itself."""
        padded = pad_planes(planes, self.plan.height, self.plan.width)
        return [
            padded[:, top : top + self.plan.tile_height, left : left + self.plan.tile_width]
            for top, left in self.plan.positions
        ]


def cut_frame(image: Strip, tile: Tile, name: str = "the image") -> Frame:
    """Cut an image into tiles; one of a tile's size is its only tile.

    Args:
        image: uint8 ``[height, width]``.
        tile: of the network.
        name: of the image, for the message.

    Raises:
        DataError: if it is smaller than a tile, and the network was not trained to see it padded.
    """
    height, width = image.shape
    if not tile.pad and (height < tile.height or width < tile.width):
        raise DataError(f"{name}: expected at least {tile} pixels, a tile, got {width}x{height}")
    padded = mirror(image, tile.height, tile.width)
    plan = plan_tiles(padded.shape[0], padded.shape[1], tile.height, tile.width)
    return Frame((height, width), plan, cut_tiles(padded, plan))


def pad_planes(planes: npt.NDArray[Pixel], height: int, width: int) -> npt.NDArray[Pixel]:
    """Mirror planes, ``[classes, height, width]``, as ``service.model.tiles.mirror`` mirrors their image."""
    rows, columns = max(0, height - planes.shape[1]), max(0, width - planes.shape[2])
    if not rows and not columns:
        return planes
    return np.pad(planes, ((0, 0), (0, rows), (0, columns)), mode="symmetric")


def choose_tile(shapes: Iterable[Shape], wanted: Shape | None) -> Tile:
    """Return the tile to train on images of these sizes.

    Args:
        shapes: of all images.
        wanted: rows and columns that were asked for; None takes those of the images, if all are
            alike, rounded up to multiples of 32.

    Raises:
        DataError: if none is asked for and the images differ in size, or are too large for one tile.
    """
    counts = Counter(shapes)
    if wanted is None:
        if len(counts) > 1:
            sizes = ", ".join(f"{count} of {w}x{h}" for (h, w), count in counts.most_common(4))
            more = f" and {len(counts) - 4} other sizes" if len(counts) > 4 else ""
            raise DataError(
                f"the images differ in size ({sizes}{more}): name the size that the network is to take with "
                "--tile HEIGHT WIDTH; larger images are cut into tiles, smaller ones padded"
            )
        height, width = (-(-side // TILE_STEP) * TILE_STEP for side in next(iter(counts)))
        if height * width > _MOST_PIXELS:
            raise DataError(
                f"images of {width}x{height} pixels are too large for the network to take whole: name a "
                f"smaller tile with --tile HEIGHT WIDTH, multiples of {TILE_STEP}, e.g. --tile "
                f"{min(height, 512)} {min(width, _MOST_PIXELS // min(height, 512), 1024)}; images are cut "
                "into such tiles"
            )
        wanted = height, width
    pad = any(height < wanted[0] or width < wanted[1] for height, width in counts)
    return Tile(*wanted, pad)
