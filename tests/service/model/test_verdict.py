"""Verdicts by probabilities, masks and review bands."""

import pytest

from service.model.metadata import OperatingPoint, ReviewBands
from service.model.postprocess import ClassMask
from service.model.verdict import Review, Verdict, judge, not_inspected

POINT = OperatingPoint(class_threshold=(0.2,) * 4, threshold=(0.5,) * 4, min_area=(100,) * 4)
BANDS: ReviewBands = ((0.1, 0.6), (0.1, 0.6), (0.1, 0.6), (0.1, 0.6))
NAMES = ("pitting", "line", "scratch", "patch")


def found(class_id: int, probability: float, area: int) -> ClassMask:
    return ClassMask(class_id, probability, area > 0, area, None)


def verdict_of(
    *classes: tuple[float, int], bands: ReviewBands | None = BANDS, point: OperatingPoint = POINT
) -> Verdict:
    listed = [found(number, *one) for number, one in enumerate(classes, 1)]
    listed += [found(number, 0.01, 0) for number in range(len(listed) + 1, 5)]
    return judge(listed, Review((1, 2, 3, 4), NAMES, bands), point)


def test_a_likely_class_with_a_mask_is_a_defect() -> None:
    assert verdict_of((0.6, 5232), (0.984, 700)) == ("defect", "pitting 60%, 5,232 px; line 98%, 700 px")


def test_a_class_within_the_band_is_suspect_present_or_not() -> None:
    reason = "pitting 59%, which decides nothing from 10% to 60%"
    assert verdict_of((0.59, 300)) == ("suspect", reason)
    assert verdict_of((0.15, 0)).name == "suspect"


def test_a_likely_class_without_a_mask_is_suspect() -> None:
    assert verdict_of((0.9, 0)) == ("suspect", "pitting 90%, but its mask has fewer than 100 px")


def test_a_defect_outweighs_a_suspicion() -> None:
    assert verdict_of((0.9, 500), (0.3, 200)) == ("defect", "pitting 90%, 500 px")


def test_below_all_bands_a_strip_is_ok() -> None:
    assert verdict_of((0.052, 0), (0.099, 0)) == ("ok", "likeliest defect: line 9.9%")


@pytest.mark.parametrize(("threshold", "probability"), [(0.05, 0.07), (0.8, 0.7)])
def test_the_band_holds_the_class_threshold(threshold: float, probability: float) -> None:
    point = POINT.model_copy(update={"class_threshold": (threshold,) * 4})
    assert verdict_of((probability, 300 if probability >= threshold else 0), point=point)[0] == "suspect"


def test_without_bands_the_class_threshold_decides() -> None:
    assert verdict_of((0.2, 300), bands=None)[0] == "defect"
    assert verdict_of((0.19, 0), bands=None)[0] == "ok"


def test_words() -> None:
    assert not_inspected("dark").words == "NOT INSPECTED: dark"
