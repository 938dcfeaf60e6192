"""Thresholds, minimum areas, the gate; of strips, and of frames."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.metadata import OperatingPoint
from service.model.postprocess import (
    ClassMask,
    TileAnswer,
    apply_operating_point,
    apply_to_frame,
    tile_answer,
)
from service.model.tiles import Map, TilePlan, plan_tiles


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


PLAN = plan_tiles(160, 160, 64, 64)
"""3 x 3 tiles, at 0, 48 and 96."""


def frame_map(*boxes: tuple[int, int, int, int], value: int = 255) -> Map:
    """Return the map of a frame with rectangles: left, top, width, height."""
    pixels = np.zeros((160, 160), dtype=np.uint8)
    for left, top, width, height in boxes:
        pixels[left : left + width, top : top + height] = value
    return pixels


def answers(pixels: Map, likely: dict[int, float], at: OperatingPoint) -> list[TileAnswer | None]:
    """Return what the tiles of ``PLAN`` say if class 1 looks so, and is likely on some tiles, 0 on others."""
    found: list[TileAnswer | None] = []
    for number, (top, left) in enumerate(PLAN.positions):
        masks = np.zeros((4, 64, 64), dtype=np.uint8)
        masks[0] = pixels[left : left + 64, top : top + 64]
        classes = np.array([likely.get(number, 0), 0, 0, 0], dtype=np.float32)
        found.append(tile_answer(classes, masks, at))
    return found


def framed(
    pixels: Map,
    likely: dict[int, float],
    at: OperatingPoint,
    *,
    plan: TilePlan = PLAN,
    without: tuple[int, ...] = (),
) -> tuple[ClassMask, Map]:
    tiles = [None if number in without else tile for number, tile in enumerate(answers(pixels, likely, at))]
    classes = list(apply_to_frame(plan, tiles, (160, 160), at, (3, 7, 8, 9)))
    assert [found.class_id for found, _ in classes] == [3, 7, 8, 9]
    assert not any(found.present for found, _ in classes[1:])
    return classes[0]


EVERYWHERE = dict.fromkeys(range(9), 0.9)


def test_a_frame_gives_its_map_back_with_the_highest_probability() -> None:
    pixels = frame_map((40, 40, 80, 80), (0, 0, 5, 5), (150, 150, 10, 10))
    found, joined = framed(pixels, EVERYWHERE | {4: 0.97}, point(min_area=(1,) * 4))
    assert (found.present, found.area) == (True, 80 * 80 + 25 + 100)
    assert found.probability == pytest.approx(0.97)
    np.testing.assert_array_equal(found.mask, pixels > 0)
    np.testing.assert_array_equal(joined, pixels)


def test_a_class_is_on_the_tiles_that_reach_its_class_threshold() -> None:
    pixels = frame_map((0, 0, 30, 30), (130, 130, 20, 20))
    found, joined = framed(pixels, {0: 0.9, 8: 0.49}, point())
    np.testing.assert_array_equal(found.mask, frame_map((0, 0, 30, 30)) > 0)
    np.testing.assert_array_equal(joined > 0, found.mask)
    assert not framed(pixels, {0: 0.4, 8: 0.49}, point())[0].present


def test_a_defect_goes_on_where_its_class_is_less_likely_and_others_there_do_not_count() -> None:
    line = (10, 60, 140, 4)
    pixels = frame_map(line, (140, 100, 8, 8))
    # Likely on both ends of the line, not in the middle; the other one lies on a neighbouring tile only.
    found, joined = framed(pixels, {3: 0.9, 5: 0.9}, point(min_area=(1,) * 4))
    np.testing.assert_array_equal(found.mask, frame_map(line, (140, 100, 8, 8)) > 0)
    found, joined = framed(pixels, {3: 0.9}, point(min_area=(1,) * 4))
    reached = frame_map((10, 60, 102, 4)) > 0  # as far as the neighbour in the middle
    np.testing.assert_array_equal(found.mask, reached)
    assert not joined[140, 100]


@pytest.mark.parametrize(("least", "kept"), [(50, True), (51, False)])
def test_the_minimum_area_counts_in_areas_of_a_tiles_size(least: int, kept: bool) -> None:
    """Two spots of 25 pixels on neighbouring tiles count together; those in opposite corners do not."""
    near = frame_map((44, 44, 5, 5), (80, 44, 5, 5))
    assert framed(near, EVERYWHERE, point(min_area=(least,) * 4))[0].present is kept
    far = frame_map((0, 0, 5, 5), (155, 155, 5, 5))
    assert not framed(far, EVERYWHERE, point(min_area=(26,) * 4))[0].present
    assert framed(far, EVERYWHERE, point(min_area=(25,) * 4))[0].area == 50


def test_specks_far_from_a_defect_do_not_count_with_it() -> None:
    defect, speck = (10, 10, 20, 20), (150, 150, 3, 3)
    found, joined = framed(frame_map(defect, speck), EVERYWHERE, point(min_area=(100,) * 4))
    np.testing.assert_array_equal(found.mask, frame_map(defect) > 0)
    np.testing.assert_array_equal(joined > 0, frame_map(defect) > 0)


def test_a_tile_that_was_not_inspected_says_nothing() -> None:
    found, _ = framed(frame_map((50, 50, 60, 60)), EVERYWHERE, point(), without=(4,))
    assert found.mask is not None
    assert not found.mask[70, 70]  # on tile 4 alone
    assert found.mask[50, 50]
    assert found.mask[105, 105]


def test_a_padded_frame_is_answered_in_its_own_size() -> None:
    at = point(min_area=(1,) * 4)
    tiles = answers(frame_map((0, 0, 160, 160)), EVERYWHERE, at)
    found, joined = next(apply_to_frame(PLAN, tiles, (160, 50), at, (3, 7, 8, 9)))
    assert found.mask is not None
    assert found.mask.shape == joined.shape == (160, 50)
    assert found.area == 160 * 50


def test_maps_that_cannot_count_are_not_kept() -> None:
    masks = np.zeros((4, 64, 64), dtype=np.uint8)
    masks[0, 5, 5], masks[1, 5, 5] = 128, 127
    kept = tile_answer(np.ones(4, dtype=np.float32), masks, point(threshold=(0.5, 0.5, 0.5, 0)))
    assert kept.maps.keys() == {0}
    assert kept.maps[0].base is None
