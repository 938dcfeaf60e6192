"""Limits of image health, held against strips."""

import numpy as np
import pytest

from service.geometry import Strip
from service.images.health import HealthMeasures
from service.model.health import FrameHealth, check_frame_health, check_health, novelty_of, to_logarithms
from service.model.tiles import plan_tiles
from tests.support.health import LIMITS, NO_STEEL, STEEL
from tests.support.tiny_model import TILE


@pytest.fixture
def textured() -> Strip:
    rows, columns = np.indices(TILE)
    return (100 + 10 * ((rows + columns) % 2)).astype(np.uint8)


def test_a_strip_within_the_limits_has_no_fault() -> None:
    health = check_health(STEEL, LIMITS)
    assert (health.fault, health.reason) == (None, None)
    assert health.measures.black == 1 - 300 / TILE[1]


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


PLAN = plan_tiles(160, 240, 64, 96)
"""3 x 3 tiles: rows from 0, 48 and 96 on, columns from 0, 72 and 144 on."""


def frame_health(black: list[tuple[int, int, int, int]], most: float = 0.9, **limits: object) -> FrameHealth:
    """Check a frame of steel with black rectangles: left, top, right, lower."""
    rows, columns = np.indices((160, 240))
    frame = (100 + 10 * ((rows + columns) % 2)).astype(np.uint8)
    for left, top, right, lower in black:
        frame[top:lower, left:right] = 0
    return check_frame_health(frame, PLAN, LIMITS.model_copy(update={"black": (0.0, most)} | limits))


def test_a_frame_of_steel_has_no_fault() -> None:
    health = frame_health([])
    assert (health.shown.fault, health.faults, health.empty) == (None, {}, frozenset())


@pytest.mark.parametrize(
    ("black", "empty"),
    [
        ([(0, 0, 100, 160)], {0, 3, 6}),
        ([(150, 0, 240, 160)], set()),  # a few columns of steel are left on the tiles there
        ([(140, 0, 240, 160)], {2, 5, 8}),
        ([(0, 0, 240, 70)], {0, 1, 2}),
        ([(0, 0, 100, 160), (140, 0, 240, 160)], {0, 3, 6, 2, 5, 8}),
    ],
)
def test_black_borders_are_normal(black: list[tuple[int, int, int, int]], empty: set[int]) -> None:
    health = frame_health(black, most=0.85)
    assert health.faults == {}
    assert health.empty == empty
    assert health.shown.fault is None


def test_a_hole_in_the_steel_is_none() -> None:
    health = frame_health([(72, 48, 168, 112)])
    assert health.faults.keys() == {4}
    assert health.shown.fault == "black"
    assert not health.whole


def test_a_frame_without_steel_or_with_less_than_a_strip_may_have_is_not_inspected() -> None:
    for black, share in ((240, "1"), (230, "0.958")):
        health = frame_health([(0, 0, black, 160)])
        assert health.whole
        assert health.shown.reason == (
            f"no steel in the picture: share of black columns {share}, expected at most 0.9"
        )


def test_each_tile_has_its_own_fault() -> None:
    rows, columns = np.indices((160, 240))
    frame = (100 + 10 * ((rows + columns) % 2)).astype(np.uint8)
    frame[:, 200:] = 255
    limits = LIMITS.model_copy(update={"saturated": (0.0, 0.3)})
    health = check_frame_health(frame, PLAN, limits)
    assert health.faults.keys() == {2, 5, 8}
    assert {tile.fault for tile in health.faults.values()} == {"saturated"}
    assert health.shown in health.faults.values()
