"""Cut frames into overlapping tiles, and join what the tiles say into one answer of the frame.

Maps are column-major, ``[width, height]``, as the network writes them. A tile takes part in the map of a
class or not, which ``None`` says; where tiles that take part overlap, their probabilities are averaged with
weights that fall linearly towards a tile's border. Pure numpy: evaluation joins tiles by the same code.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.geometry import Strip

_OVERLAP = 64
"""Pixels that neighbouring tiles share, or a quarter of the tile where that is less; see docs/adr/0024."""

Map = npt.NDArray[np.uint8]
"""255 x probability of each pixel for one class: uint8 ``[width, height]``."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Positions of the tiles of a frame; tiles are numbered row by row."""

    height: int
    """Rows of the frame."""
    width: int
    """Columns of the frame."""
    tile_height: int
    tile_width: int
    tops: tuple[int, ...]
    """First row of each row of tiles, ascending."""
    lefts: tuple[int, ...]
    """First column of each column of tiles, ascending."""

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.tops) * len(self.lefts)

    @property
    def positions(self) -> list[tuple[int, int]]:
        """First row and first column of each tile."""
        return [(top, left) for top in self.tops for left in self.lefts]


def plan_tiles(height: int, width: int, tile_height: int, tile_width: int) -> TilePlan:
    """Place as few tiles as cover a frame with an overlap, spread evenly.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        tile_height: rows of a tile.
        tile_width: columns of a tile.

    Raises:
        ValueError: if the frame is smaller than a tile; ``mirror`` enlarges it.
    """
    if height < tile_height or width < tile_width:
        raise ValueError(
            f"expected a frame of at least {tile_width}x{tile_height} pixels, a tile, got {width}x{height}"
        )
    return TilePlan(
        height, width, tile_height, tile_width, _starts(height, tile_height), _starts(width, tile_width)
    )


def _starts(length: int, tile: int) -> tuple[int, ...]:
    overlap = min(_OVERLAP, tile // 4)
    steps = -(-(length - tile) // (tile - overlap))
    return tuple(round(step * (length - tile) / max(1, steps)) for step in range(steps + 1))


def cut_tiles(frame: Strip, plan: TilePlan) -> list[Strip]:
    """Return views of the tiles of a frame, uint8 ``[tile_height, tile_width]`` each."""
    return [
        frame[top : top + plan.tile_height, left : left + plan.tile_width] for top, left in plan.positions
    ]


def mirror(frame: Strip, height: int, width: int) -> Strip:
    """Enlarge a frame to at least so many rows and columns by mirroring it at its lower and right border.

    Pixels keep their coordinates. A frame that is large enough is returned as it is.
    """
    rows, columns = max(0, height - frame.shape[0]), max(0, width - frame.shape[1])
    if not rows and not columns:
        return frame
    return np.pad(frame, ((0, rows), (0, columns)), mode="symmetric")


def combine_classes(classes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the class probabilities of a frame, float32 ``[classes]``: the highest of its tiles.

    Args:
        classes: float32 ``[tiles, classes]``.
    """
    highest: npt.NDArray[np.float32] = classes.max(axis=0)
    return highest


def blend(plan: TilePlan, maps: Sequence[Map | None]) -> Map:
    """Join the tiles' maps of one class into the frame's, uint8 ``[width, height]``; 0 where none takes part.

    Args:
        plan: of the frame.
        maps: uint8 ``[tile_width, tile_height]`` for each tile, None for one that does not take part.
    """
    frame = np.zeros((plan.width, plan.height), dtype=np.uint8)
    across = _ramps(plan.lefts, plan.tile_width)
    down = _ramps(plan.tops, plan.tile_height)
    for x, x_end, columns in _spans(plan.lefts, plan.tile_width):
        for y, y_end, rows in _spans(plan.tops, plan.tile_height):
            parts: list[Map] = []
            weights: list[npt.NDArray[np.float32]] = []
            for row in rows:
                for column in columns:
                    one = maps[row * len(plan.lefts) + column]
                    if one is not None:
                        inside_x = slice(x - plan.lefts[column], x_end - plan.lefts[column])
                        inside_y = slice(y - plan.tops[row], y_end - plan.tops[row])
                        parts.append(one[inside_x, inside_y])
                        weights.append(np.outer(across[column][inside_x], down[row][inside_y]))
            if len(parts) == 1:
                frame[x:x_end, y:y_end] = parts[0]
            elif any(part.any() for part in parts):
                frame[x:x_end, y:y_end] = _average(parts, weights)
    return frame


def blend_maps(
    plan: TilePlan, maps: Sequence[npt.NDArray[np.uint8]], takes_part: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.uint8]:
    """Join the tiles' maps of all classes, uint8 ``[classes, width, height]``; see ``blend``.

    Args:
        plan: of the frame.
        maps: uint8 ``[classes, tile_width, tile_height]`` for each tile.
        takes_part: bool ``[tiles, classes]``; None: every tile takes part in every class.
    """
    classes = len(maps[0])
    counts = np.ones((plan.count, classes), dtype=np.bool_) if takes_part is None else takes_part
    return np.stack(
        [
            blend(plan, [one[index] if counts[tile, index] else None for tile, one in enumerate(maps)])
            for index in range(classes)
        ]
    )


def _average(parts: Sequence[Map], weights: Sequence[npt.NDArray[np.float32]]) -> Map:
    total = np.zeros(parts[0].shape, dtype=np.float32)
    weighed, all_weights = np.empty_like(total), np.zeros_like(total)
    for part, weight in zip(parts, weights, strict=True):
        total += np.multiply(part, weight, out=weighed)
        all_weights += weight
    total /= all_weights
    total += 0.5
    return total.astype(np.uint8)


def _ramps(starts: Sequence[int], tile: int) -> list[npt.NDArray[np.float32]]:
    """Return each tile's weights along an axis, float32 ``[tile]``: 1, falling where tiles overlap."""
    ramps = []
    for number, start in enumerate(starts):
        ramp = np.ones(tile, dtype=np.float32)
        if number:
            shared = starts[number - 1] + tile - start
            ramp[:shared] = np.arange(1, shared + 1) / (shared + 1)
        if number + 1 < len(starts):
            shared = start + tile - starts[number + 1]
            ramp[tile - shared :] = np.minimum(ramp[tile - shared :], np.arange(shared, 0, -1) / (shared + 1))
        ramps.append(ramp)
    return ramps


def _spans(starts: Sequence[int], tile: int) -> list[tuple[int, int, list[int]]]:
    """Split an axis where a tile begins or ends: first pixel, the one after the last, and the tiles there."""
    edges = sorted({edge for start in starts for edge in (start, start + tile)})
    return [
        (begin, end, [number for number, start in enumerate(starts) if start <= begin < start + tile])
        for begin, end in itertools.pairwise(edges)
    ]
