"""Trainings compared strip by strip."""

from dataclasses import replace

import numpy as np
import pytest

from model_export.errors import DataError
from model_export.evaluation.compare import RunScore, paired_change


def test_a_change_is_measured_strip_by_strip() -> None:
    dice = np.full((4, 4), np.nan)
    dice[0, 0], dice[1, 0] = 0.2, 0.8
    dice[2, 1:], dice[3, 1:] = 0.5, 0.5
    first = RunScore(("a", "b", "c", "d"), dice, dice, gate=0.5)
    second = replace(first, best=dice[::-1] + 0.1, keys=("d", "c", "b", "a"))
    change, error = paired_change(first, second)
    assert change == pytest.approx(0.1)
    assert error == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="same held-out strips"):
        paired_change(first, replace(second, keys=("d", "c", "b", "e")))
