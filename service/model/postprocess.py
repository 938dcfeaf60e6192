"""Turn probabilities into masks by class thresholds, pixel thresholds and minimum areas."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.geometry import ColumnMask
from service.masks.regions import Box, drop_unreached
from service.model.metadata import OperatingPoint
from service.model.tiles import Map, TilePlan, blend, combine_classes

_BLOCK = 32
"""Minimum areas of a frame are looked for in steps of so many pixels."""


@dataclass(frozen=True, slots=True)
class ClassMask:
    """One class of defect on one strip or frame."""

    class_id: int
    probability: float
    present: bool
    area: int
    """Pixels of the mask."""
    mask: ColumnMask | None
    """None when the class is not present."""


class TileAnswer(NamedTuple):
    """The model's outputs for one tile of a frame, without maps that cannot count."""

    classes: npt.NDArray[np.float32]
    """float32 ``[classes]``: probability that the tile holds a defect of the class."""
    maps: Mapping[int, Map]
    """Map of each class that has a pixel above its threshold, by its position."""


def apply_operating_point(
    classes: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    point: OperatingPoint,
    class_ids: Sequence[int],
) -> list[ClassMask]:
    """Turn one strip's probabilities into a mask for each class.

    A class is present when its image-level probability reaches ``class_threshold`` and its thresholded mask
    is not empty and has at least ``min_area`` pixels in all.

    Args:
        classes: float32 ``[classes]``, image-level probability of each class.
        masks: uint8 ``[classes, width, height]``, 255 x pixel probability, column-major.
        point: thresholds and areas.
        class_ids: of the classes, in order.
    """
    return [
        _class_mask(class_id, index, float(classes[index]), masks[index], point)
        for index, class_id in enumerate(class_ids)
    ]


def byte_threshold(threshold: float) -> int:
    """Return the smallest byte b with b / 255 >= threshold, a fraction."""
    return math.ceil(threshold * 255 - 1e-9)


def _class_mask(
    class_id: int, index: int, probability: float, pixels: npt.NDArray[np.uint8], point: OperatingPoint
) -> ClassMask:
    absent = ClassMask(class_id, probability, False, 0, None)
    if probability < point.class_threshold[index]:
        return absent
    mask = pixels >= byte_threshold(point.threshold[index])
    area = int(np.count_nonzero(mask))
    if area < max(1, point.min_area[index]):
        return absent
    return ClassMask(class_id, probability, True, area, mask)


def tile_answer(
    classes: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8], point: OperatingPoint
) -> TileAnswer:
    """Keep of a tile's probabilities what can count in its frame; see ``apply_to_frame``."""
    counts = masks.max(axis=(1, 2)) >= [max(1, byte_threshold(one)) for one in point.threshold]
    # Copies: a view would keep the maps of the whole batch.
    return TileAnswer(classes.copy(), {int(index): masks[index].copy() for index in np.flatnonzero(counts)})


def apply_to_frame(
    plan: TilePlan,
    tiles: Sequence[TileAnswer | None],
    shape: tuple[int, int],
    point: OperatingPoint,
    class_ids: Sequence[int],
) -> Iterator[tuple[ClassMask, Map]]:
    """Join the tiles of a frame; yield for each class its mask and its map, uint8 ``[width, height]``.

    The probability of a class is the highest of the tiles. Its mask lies on the tiles on which it reaches
    ``class_threshold``, and goes on beyond them as far as it is connected, on their neighbours: no defect is
    cut at a tile's border where it gets weaker. A pixel counts if its class has at least ``min_area`` pixels
    in an area of about a tile's size around it. The map is 0 where the pixel threshold is reached and the
    pixel does not count.

    One class at a time, since the maps of a large frame are large.

    Args:
        plan: of the frame, padded.
        tiles: answers in the order of the plan, at least one; None for a tile that was not inspected.
        shape: width and height of the frame as it was sent.
        point: thresholds and areas.
        class_ids: of the classes, in order.
    """
    least = np.array(point.class_threshold)
    missing = np.full(len(class_ids), -1, dtype=np.float32)
    probabilities = np.stack([missing if tile is None else tile.classes for tile in tiles])
    highest = combine_classes(probabilities)
    reached = probabilities >= least
    takes_part = _with_neighbours(reached, plan)
    for index, class_id in enumerate(class_ids):
        joined = blend(
            plan,
            [
                tile.maps.get(index) if tile is not None and takes_part[number, index] else None
                for number, tile in enumerate(tiles)
            ],
        )
        joined = joined[: shape[0], : shape[1]]
        found = _class_mask(class_id, index, float(highest[index]), joined, point)
        if found.mask is not None:
            if (reached[:, index] != takes_part[:, index]).any():
                drop_unreached(found.mask, _boxes(reached[:, index], plan))
            _drop_scattered(found.mask, point.min_area[index], plan)
            area = int(np.count_nonzero(found.mask))
            if area < found.area:
                joined[(joined >= byte_threshold(point.threshold[index])) & ~found.mask] = 0
                found = ClassMask(class_id, found.probability, area > 0, area, found.mask if area else None)
        yield found, joined


def _boxes(chosen: npt.NDArray[np.bool_], plan: TilePlan) -> list[Box]:
    return [
        (left, top, left + plan.tile_width, top + plan.tile_height)
        for (top, left), one in zip(plan.positions, chosen, strict=True)
        if one
    ]


def _with_neighbours(reached: npt.NDArray[np.bool_], plan: TilePlan) -> npt.NDArray[np.bool_]:
    """Return which tiles, bool ``[tiles, classes]``, are reached or beside one that is, corners included."""
    grid = np.pad(reached.reshape(len(plan.tops), len(plan.lefts), -1), ((1, 1), (1, 1), (0, 0)))
    near = np.zeros((len(plan.tops), len(plan.lefts), reached.shape[1]), dtype=np.bool_)
    for row, column in itertools.product(range(3), range(3)):
        near |= grid[row : row + len(plan.tops), column : column + len(plan.lefts)]
    return near.reshape(reached.shape)


def _drop_scattered(mask: ColumnMask, min_area: int, plan: TilePlan) -> None:
    """Clear the pixels that have fewer than ``min_area`` of their kind in every tile-sized area around them.

    Areas begin at whole blocks and are a block larger than a tile, so that each part of the frame of a tile's
    size lies in one of them.
    """
    columns = np.arange(0, mask.shape[0], _BLOCK)
    rows = np.arange(0, mask.shape[1], _BLOCK)
    # Sums of up to 32 pixels fit into bytes, which numpy adds fastest.
    bands = [mask[column : column + _BLOCK].view(np.uint8).sum(axis=0, dtype=np.uint8) for column in columns]
    blocks = np.add.reduceat(np.stack(bands), rows, axis=1, dtype=np.int32)
    across = min(len(columns), plan.tile_width // _BLOCK + 1)
    down = min(len(rows), plan.tile_height // _BLOCK + 1)
    enough = (_window_sums(blocks, across, down) >= min_area).astype(np.int32)
    # A block counts if an area that has enough holds it: the areas around a block are a window of areas.
    around = np.pad(enough, ((across - 1, across - 1), (down - 1, down - 1)))
    kept = _window_sums(around, across, down) > 0
    for column, row in itertools.product(range(len(columns)), range(len(rows))):
        if not kept[column, row] and blocks[column, row]:
            mask[columns[column] : columns[column] + _BLOCK, rows[row] : rows[row] + _BLOCK] = False


def _window_sums(values: npt.NDArray[np.int32], across: int, down: int) -> npt.NDArray[np.int64]:
    """Return the sums of all windows of so many values along both axes."""
    sums = np.pad(values.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    found: npt.NDArray[np.int64] = (
        sums[across:, down:] - sums[:-across, down:] - sums[across:, :-down] + sums[:-across, :-down]
    )
    return found
