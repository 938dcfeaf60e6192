"""Groups of strips that look alike: photographs of one coil."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

_BLOCK = 512
"""Rows of a matrix of similarities that are computed at a time."""


def similar_pairs(
    rows: npt.NDArray[np.float32], threshold: float, title: str, shifts: int = 0
) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs of rows whose correlation is above a threshold, and their correlation.

    Args:
        rows: float32 ``[rows, columns]`` of unit length.
        threshold: of the correlation.
        title: of the progress bar.
        shifts: columns by which two rows may be shifted against each other; the best shift counts.
    """
    with tqdm(total=len(rows), desc=title, unit="strip", leave=False, dynamic_ncols=True) as progress:
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            best = best_correlation(some, rows[start:], shifts)
            # Each pair once: below the diagonal of its own block are pairs that stand above it too.
            first, second = np.nonzero(np.triu(best > threshold, k=1))
            for one, other in zip(first.tolist(), second.tolist(), strict=True):
                yield start + one, start + other, float(best[one, other])
            progress.update(len(some))


def best_correlation(
    rows: npt.NDArray[np.float32], others: npt.NDArray[np.float32], shifts: int
) -> npt.NDArray[np.float32]:
    """Return the correlation of all pairs of rows at their best shift, float32 ``[rows, others]``."""
    best = rows @ others.T
    columns = others.shape[1]
    product = np.empty_like(best)
    for shift in range(1, shifts + 1):
        for ours, theirs in (
            (slice(shift, columns), slice(0, columns - shift)),
            (slice(0, columns - shift), slice(shift, columns)),
        ):
            np.matmul(rows[:, ours], others[:, theirs].T, out=product)
            np.maximum(best, product, out=best)
    return best


def join_pairs(count: int, pairs: Iterable[tuple[int, int, float]]) -> list[list[int]]:
    """Return groups of ``count`` indices, joined by pairs (single linkage), in ascending order."""
    parents = list(range(count))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for first, second, _ in pairs:
        parents[root(second)] = root(first)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        groups[root(index)].append(index)
    return sorted(groups.values())


def merge_groups(count: int, *groupings: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return groups of ``count`` indices in which those of a group of any grouping are together."""
    pairs = (
        (first, second, 1.0) for groups in groupings for group in groups for first, second in pairwise(group)
    )
    return join_pairs(count, pairs)
