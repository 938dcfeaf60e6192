"""Calibration by temperature."""

import numpy as np
import pytest

from model_export.data.synthetic import drawn_strips
from model_export.data.tile import Tile
from model_export.evaluation.calibrate import (
    choose_temperature,
    compute_class_logits,
    fit_temperature,
)
from model_export.network.steel_network import NetworkConfig, SteelNetwork


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_logits_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (5000, 4))
    truth = (rng.random(honest.shape) < 1 / (1 + np.exp(-honest))).astype(np.float64)
    calibration = fit_temperature(honest * temperature, truth)
    assert calibration.temperature == pytest.approx(temperature, rel=0.06)
    assert calibration.cross_entropy_after <= calibration.cross_entropy_before
    assert calibration.strips == 5000


def test_class_logits_come_with_their_truth() -> None:
    strips = drawn_strips(3, seed=1)
    logits, truth = compute_class_logits(SteelNetwork(NetworkConfig()).eval(), strips, Tile(256, 1600), 4)
    assert logits.shape == (3, 4)
    assert truth.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]


def test_a_few_strips_that_are_all_right_do_not_ask_for_certainty() -> None:
    """Twelve strips told apart without a doubt used to take the lowest temperature there was, 0.25."""
    truth = np.zeros((12, 4))
    truth[:4, 0], truth[4:8, 1] = 1, 1
    calibration = fit_temperature(np.where(truth > 0, 4.0, -4.0), truth)
    assert 1 < calibration.temperature < 3


def test_a_new_temperature_must_pay_on_other_strips() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (400, 4))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    parts = np.arange(400) % 5
    assert choose_temperature(2 * logits, truth, parts).temperature == pytest.approx(2, rel=0.2)
    few = choose_temperature(logits[:10], truth[:10], parts[:10])
    assert few.temperature == 1
    assert few.cross_entropy_after == few.cross_entropy_before
