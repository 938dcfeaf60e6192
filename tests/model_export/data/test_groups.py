"""Similar rows and groups of them."""

import numpy as np
import pytest

from model_export.data.groups import best_correlation, join_pairs, similar_pairs
from model_export.data.split import group_profiles


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


ROWS = unit(np.random.default_rng(7).normal(size=(1300, 200)))
"""More than two blocks."""


def test_pairs_are_those_of_the_whole_matrix() -> None:
    whole = best_correlation(ROWS, ROWS, shifts=2)
    expected = {(i, j) for i, j in np.argwhere(whole > 0.2).tolist() if i < j}
    found = {(i, j) for i, j, _ in similar_pairs(ROWS, 0.2, "comparing", shifts=2)}
    assert found == expected
    assert len(found) > 100


@pytest.mark.parametrize("shift", [-2, 0, 1])
def test_rows_are_compared_at_their_best_shift(shift: int) -> None:
    padded = np.pad(ROWS[:1, 10:-10], ((0, 0), (10, 10)))
    moved = np.roll(padded, shift, axis=1)
    assert best_correlation(padded, moved, shifts=2)[0, 0] == pytest.approx(np.square(padded).sum(), abs=1e-5)


def test_pairs_join_into_groups() -> None:
    pairs = iter([(0, 3, 0.9), (3, 4, 0.9), (1, 2, 0.9)])
    assert join_pairs(6, pairs) == [[0, 3, 4], [1, 2], [5]]


def test_many_profiles_are_grouped_as_few_are() -> None:
    """The threshold of many comes from an even choice of them."""
    coils = np.repeat(ROWS[:900], 3, axis=0)
    noisy = unit(coils + np.random.default_rng(1).normal(0, 0.01, coils.shape))
    assert group_profiles(noisy) == [[3 * coil, 3 * coil + 1, 3 * coil + 2] for coil in range(900)]
