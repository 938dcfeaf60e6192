"""Regions of masks: outlines as polygons, and connected defects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from service.geometry import ColumnMask

Polygons = npt.NDArray[np.object_]
Runs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Column, first row and the row after the last, of each run of pixels within one column."""

Box = tuple[int, int, int, int]
"""First column and row, and the column and row after the last."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One connected defect. Coordinates are pixels from the frame's upper left corner, x to the right."""

    class_id: int
    score: float
    """Mean probability of its pixels."""
    bbox: tuple[int, int, int, int]
    """Left, top, width and height, as in COCO."""
    area: int
    """Pixels."""
    centroid: tuple[float, float]
    """Of its surface: the middle of the first pixel is (0.5, 0.5)."""


def outline(mask: ColumnMask) -> dict[str, Any]:
    """Outline a column-major mask, bool ``[width, height]``, as a GeoJSON MultiPolygon (RFC 7946).

    The outline runs along the edges of pixels, so it is exact; holes are kept, and the polygons are valid.
    """
    polygons, _ = _connected(_runs(mask))
    return {
        "type": "MultiPolygon",
        "coordinates": [
            [
                shapely.get_coordinates(ring).astype(int).tolist()
                for ring in (polygon.exterior, *polygon.interiors)
            ]
            for polygon in shapely.simplify(polygons, 0)  # drops points on straight edges, nothing else
        ],
    }


def instances(class_id: int, mask: ColumnMask, pixels: npt.NDArray[np.uint8]) -> list[Instance]:
    """List the connected defects of one class, the largest first. Pixels connect by their edges.

    Args:
        class_id: of the class.
        mask: bool ``[width, height]``, column-major.
        pixels: uint8 of the same shape, 255 x probability.
    """
    runs = _runs(mask)
    polygons, polygon_of_run = _connected(runs)
    total = np.bincount(polygon_of_run, weights=_sums(pixels, runs), minlength=len(polygons))
    found = []
    for polygon, probability in zip(polygons, total, strict=True):
        left, upper, right, lower = (int(edge) for edge in polygon.bounds)
        area = round(polygon.area)
        found.append(
            Instance(
                class_id=class_id,
                score=float(probability / area / 255),
                bbox=(left, upper, right - left, lower - upper),
                area=area,
                centroid=(polygon.centroid.x, polygon.centroid.y),
            )
        )
    return sorted(found, key=lambda one: -one.area)


def drop_unreached(mask: ColumnMask, boxes: Sequence[Box]) -> None:
    """Clear the connected parts of a mask, bool ``[width, height]``, that have no pixel in a box."""
    x, top, bottom = _runs(mask)
    starts, ends = x * mask.shape[1] + top, x * mask.shape[1] + bottom
    reached = np.zeros(len(x), dtype=np.bool_)
    for left, upper, right, lower in boxes:
        reached |= (x >= left) & (x < right) & (top < lower) & (bottom > upper)
    frontier = np.flatnonzero(reached)
    while frontier.size:
        # The runs of the columns before and after that share a row with one of the frontier.
        beside = []
        for step in (-mask.shape[1], mask.shape[1]):
            first = np.searchsorted(ends, starts[frontier] + step, side="right")
            count = np.searchsorted(starts, ends[frontier] + step, side="left") - first
            beside.append(np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum()))
        neighbours = np.unique(np.concatenate(beside))
        frontier = neighbours[~reached[neighbours]]
        reached[frontier] = True
    for run in np.flatnonzero(~reached):
        mask[x[run], top[run] : bottom[run]] = False


def _sums(pixels: npt.NDArray[np.uint8], runs: Runs) -> npt.NDArray[np.int64]:
    """Return the sum of the pixels of each run."""
    x, top, bottom = runs
    edges = np.stack([x, x], axis=1) * pixels.shape[1] + np.stack([top, bottom], axis=1)
    flat = np.append(pixels.reshape(-1), np.uint8(0))  # the last run may end with the last pixel
    sums: npt.NDArray[np.int64] = np.add.reduceat(flat, edges.reshape(-1), dtype=np.int64)[::2]
    return sums


def _runs(mask: ColumnMask) -> Runs:
    # A row of background ends each column, so that pixels change where a run begins and ends, by turns.
    padded = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.bool_)
    padded[:, :-1] = mask
    pixels = padded.reshape(-1)
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    if mask.size and mask[0, 0]:
        edges = np.append(0, edges)
    x, top = np.divmod(edges[::2], padded.shape[1])
    return x, top, edges[1::2] - x * padded.shape[1]


def _connected(runs: Runs) -> tuple[Polygons, npt.NDArray[np.int64]]:
    """Join runs that share an edge; return the polygons, and for each run the index of its polygon."""
    x, top, bottom = runs
    union = shapely.union_all(shapely.box(x, top, x + 1, bottom))
    polygons: Polygons = shapely.get_parts(union)
    middles = shapely.points(x + 0.5, (top + bottom) / 2)
    run, polygon = shapely.STRtree(polygons).query(middles, predicate="within")
    return polygons, polygon[np.argsort(run)]
