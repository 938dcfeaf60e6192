"""Calibration by temperature."""

import numpy as np
import pytest

from model_export.data.synthetic import drawn_strips
from model_export.evaluation.calibrate import compute_class_logits, fit_temperature
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
    logits, truth = compute_class_logits(SteelNetwork(NetworkConfig()).eval(), strips)
    assert logits.shape == (3, 4)
    assert truth.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
