"""Weights for the mill's balance of classes."""

import pytest

from model_export.data.synthetic import drawn_strips
from model_export.evaluation.mill import BALANCE, mill_weights


def test_weights_bring_strips_to_the_balance_of_the_mill() -> None:
    strips = drawn_strips(30, 0)
    weights, covered = mill_weights(strips)
    assert sum(weights) == pytest.approx(len(strips))
    clean = sum(weight for weight, strip in zip(weights, strips, strict=True) if not strip.classes)
    present = sum(BALANCE.get(classes, 0) for classes in {strip.classes for strip in strips})
    assert clean / len(strips) == pytest.approx(BALANCE[frozenset()] / present)
    assert covered == pytest.approx(present / sum(BALANCE.values()))
