"""Limits of image health, held against strips."""

import numpy as np
import pytest

from service.geometry import HEIGHT, WIDTH, Strip
from service.images.health import HealthMeasures
from service.model.health import check_health, novelty_of, to_logarithms
from tests.support.health import LIMITS, NO_STEEL, STEEL


@pytest.fixture
def textured() -> Strip:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (100 + 10 * ((rows + columns) % 2)).astype(np.uint8)


def test_a_strip_within_the_limits_has_no_fault() -> None:
    health = check_health(STEEL, LIMITS)
    assert (health.fault, health.reason) == (None, None)
    assert health.measures.black == 1 - 300 / WIDTH


def test_the_reason_names_measure_and_limit() -> None:
    health = check_health(NO_STEEL, LIMITS)
    assert health.fault == "black"
    assert health.reason == "no steel in the picture: share of black columns 1, expected at most 0.9"


@pytest.mark.parametrize(
    ("measure", "limits", "fault"),
    [
        ("brightness", (120.0, 255.0), "dark"),
        ("brightness", (0.0, 90.0), "bright"),
        ("saturated", (0.0, -1.0), "saturated"),
        ("contrast", (6.0, 99.0), "flat"),
        ("blank", (0.0, -1.0), "blank"),
        ("sharpness", (21.0, 99.0), "blurred"),
        ("sharpness", (0.0, 19.0), "noisy"),
        ("noise", (0.0, 1.0), "noisy"),
        ("novelty", (0.0, 0.5), "unlike"),
    ],
)
def test_every_fault_has_its_name(
    textured: Strip, measure: str, limits: tuple[float, float], fault: str
) -> None:
    health = check_health(textured, LIMITS.model_copy(update={measure: limits}))
    assert health.fault == fault
    assert health.reason is not None
    assert " expected at " in health.reason


def test_a_typical_strip_is_not_new_and_others_are_by_their_distance() -> None:
    measures = HealthMeasures(0.0, 100.0, 20.0, 0.0, 0.01, 9.0, 0.05)
    typical = LIMITS.model_copy(update={"typical": tuple(to_logarithms(measures))})
    assert novelty_of(measures, typical) == 0
    brighter = measures._replace(brightness=measures.brightness + 101)  # log(202 / 101) further
    assert novelty_of(brighter, typical) == pytest.approx(np.log(2) / np.sqrt(7))
