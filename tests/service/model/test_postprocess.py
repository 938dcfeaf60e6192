"""Thresholds, minimum areas, the gate."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.metadata import OperatingPoint
from service.model.postprocess import ClassMask, apply_operating_point


def point(**changes: tuple[float, ...]) -> OperatingPoint:
    values = {"class_threshold": (0.5,) * 4, "threshold": (0.5,) * 4, "min_area": (10,) * 4} | changes
    return OperatingPoint.model_validate(values)


def probabilities(area: int, byte: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Class 2 likely, with ``area`` pixels of the given byte in the first columns."""
    masks = np.zeros((4, 1600, 256), dtype=np.uint8)
    masks[1].reshape(-1)[:area] = byte
    return np.array([0.1, 0.9, 0.1, 0.1], dtype=np.float32), masks


def applied(classes: np.ndarray, masks: np.ndarray, at: OperatingPoint) -> list[ClassMask]:
    return apply_operating_point(classes, masks, at, (1, 2, 3, 4))


def test_all_four_classes_answer_in_order() -> None:
    found = applied(*probabilities(20), point())
    assert [one.class_id for one in found] == [1, 2, 3, 4]
    assert [one.present for one in found] == [False, True, False, False]
    assert found[1].area == 20
    assert found[1].mask is not None
    assert found[1].mask.shape == (1600, 256)
    assert found[1].probability == pytest.approx(0.9)


@pytest.mark.parametrize(("area", "present"), [(9, False), (10, True)])
def test_minimum_area_counts_all_pixels_of_a_class(area: int, present: bool) -> None:
    assert applied(*probabilities(area), point())[1].present is present


def test_an_empty_mask_is_never_present() -> None:
    assert not applied(*probabilities(0), point(min_area=(0,) * 4))[1].present


@pytest.mark.parametrize(("gate", "present"), [(0.89, True), (0.91, False)])
def test_the_classifier_gates(gate: float, present: bool) -> None:
    found = applied(*probabilities(20), point(class_threshold=(0, gate, 0, 0)))[1]
    assert found.present is present
    assert found.area == (20 if present else 0)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_a_pixel_belongs_when_its_probability_reaches_the_threshold(permille: int, byte: int) -> None:
    found = applied(*probabilities(20, byte), point(threshold=(permille / 1000,) * 4))[1]
    reached = Fraction(byte, 255) >= Fraction(permille, 1000)
    assert found.area == (409_600 if permille == 0 else 20 if reached else 0)


def test_threshold_zero_takes_everything_and_one_takes_certainty() -> None:
    assert applied(*probabilities(20), point(threshold=(0,) * 4))[1].area == 409_600
    assert applied(*probabilities(20, 254), point(threshold=(1,) * 4))[1].area == 0
    assert applied(*probabilities(20, 255), point(threshold=(1,) * 4))[1].area == 20
