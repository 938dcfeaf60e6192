"""Tuning of operating points."""

from collections.abc import Callable

import numpy as np
import pytest

from model_export.evaluation.curves import ThresholdCurves
from model_export.evaluation.tune import (
    InspectionRules,
    keep_classes,
    strips_needed,
    tune,
    tune_inspection,
    tune_kaggle,
)
from service.model.metadata import OperatingPoint
from service.model.postprocess import byte_threshold


def synthetic_curves() -> ThresholdCurves:
    """Ten strips; the first five hold class 1 and answer it with 1000 pixels up to byte 180; of the others
    two answer 150 pixels by mistake, with a lower class probability."""
    strips = 10
    probability = np.zeros((strips, 4))
    true = np.zeros((strips, 4), dtype=np.int64)
    predicted = np.zeros((strips, 4, 256), dtype=np.int64)
    predicted[..., 0] = 256 * 1600
    both = np.zeros((strips, 4, 256), dtype=np.int64)
    probability[:5, 0], true[:5, 0] = 0.8, 1000
    predicted[:5, 0, 1:181], both[:5, 0, 1:181] = 1000, 900
    probability[5:7, 0], predicted[5:7, 0, 1:201] = 0.3, 150
    return ThresholdCurves(tuple("abcdefghij"), probability, true, predicted, both)


RULES = InspectionRules()


@pytest.mark.parametrize("profile", ["inspection", "kaggle"])
def test_tuning_finds_the_point_without_false_alarms(profile: str) -> None:
    point = tune(synthetic_curves(), RULES)[profile]
    assert byte_threshold(point.threshold[0]) <= 180
    assert point.class_threshold[0] > 0.3 or point.min_area[0] > 150
    assert point.class_threshold[0] <= 0.8
    assert point.min_area[0] <= 1000


def test_inspection_keeps_recall_where_kaggle_gives_it_up() -> None:
    """A class in one strip of ten, found with a poor mask, and four false alarms that look the same."""
    curves = synthetic_curves()
    curves.true[1:5, 0] = 0
    curves.intersection[:5, 0, 1:] = 0
    curves.intersection[0, 0, 1:181] = 300
    curves.probability[5:7, 0] = 0
    kaggle, inspection = tune_kaggle(curves), tune_inspection(curves, RULES)
    kept = [
        byte_threshold(p.threshold[0]) <= 180 and p.class_threshold[0] <= 0.8 and p.min_area[0] <= 1000
        for p in (kaggle, inspection)
    ]
    assert kept == [False, True]


@pytest.mark.parametrize(("count", "hard_one_is_given_up"), [(19, True), (18, False)])
def test_the_recall_floor_is_meant_for_strips_to_come(count: int, hard_one_is_given_up: bool) -> None:
    """Of 19 strips, 18 have to be found; of 18, all: 0.9 x 19 is 17.1, and 17 of 18 promise less than 0.9.

    The last strip is answered less surely than two clean ones, which are false alarms where it is found.
    """
    strips = count + 2
    probability = np.zeros((strips, 4))
    probability[:count, 0] = [0.9] * (count - 1) + [0.2]
    probability[count:, 0] = 0.4
    true = np.zeros((strips, 4), dtype=np.int64)
    true[:count, 0] = 1000
    predicted = np.zeros((strips, 4, 256), dtype=np.int64)
    predicted[:, 0, :181] = 1000
    both = np.minimum(predicted, true[:, :, None])
    names = tuple(str(number) for number in range(strips))
    point = tune_inspection(ThresholdCurves(names, probability, true, predicted, both), RULES)
    assert (point.class_threshold[0] > 0.4) is hard_one_is_given_up
    assert (point.class_threshold[0] <= 0.2) is not hard_one_is_given_up


def improbable_curves() -> ThresholdCurves:
    """Ten strips with class 1, two of them at a probability of 0.03, and forty clean ones at 0.04."""
    probability = np.zeros((50, 4))
    probability[:10, 0] = [0.9] * 8 + [0.03] * 2
    probability[10:, 0] = 0.04
    true = np.zeros((50, 4), dtype=np.int64)
    true[:10, 0] = 1000
    predicted = np.zeros((50, 4, 256), dtype=np.int64)
    predicted[:, 0, :181] = 1000
    both = np.minimum(predicted, true[:, :, None])
    return ThresholdCurves(tuple(str(number) for number in range(50)), probability, true, predicted, both)


def test_a_class_is_present_only_when_that_is_likely_enough_to_act_on() -> None:
    """The recall floor alone would report all strips, 40 of 50 wrongly."""
    curves = improbable_curves()
    point = tune_inspection(curves, RULES)
    assert min(point.class_threshold) >= 0.1
    assert point.class_threshold[0] <= 0.9
    anything = InspectionRules(least_probability=(0.0,) * 4)
    assert tune_inspection(curves, anything).class_threshold[0] <= 0.03
    odd = InspectionRules(least_probability=(0.123, 0, 0, 0))
    assert 0.123 <= tune_inspection(curves, odd).class_threshold[0] <= 0.9


def test_a_floor_and_a_price_for_each_class() -> None:
    curves = improbable_curves()
    rules = InspectionRules((0.5, 0, 0, 0), least_probability=(0.0,) * 4)
    assert tune_inspection(curves, rules).class_threshold[0] > 0.04
    cheap = InspectionRules((0.5, 0, 0, 0), (0.1, 1, 1, 1), (0.0,) * 4)
    assert tune_inspection(curves, cheap).class_threshold[0] <= 0.03


def test_thresholds_of_faint_masks_are_not_at_the_end_of_the_grid() -> None:
    """Masks whose pixels have a probability of 1 in 255 can be had; strips with more are overdrawn."""
    curves = synthetic_curves()
    faint = curves.predicted.copy()
    faint[:5, 0, 2:] = 0
    found = ThresholdCurves(curves.names, curves.probability, curves.true, faint, curves.intersection)
    points: list[OperatingPoint] = [tune_inspection(found, RULES), tune_kaggle(found)]
    assert [byte_threshold(point.threshold[0]) for point in points] == [1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InspectionRules((1.1, 0, 0, 0)), "--recall-floor: expected values of 0 to 1"),
        (
            lambda: InspectionRules(least_probability=(0, float("nan"), 0, 0)),
            "--least-probability: expected values of 0 to 1",
        ),
        (
            lambda: InspectionRules(false_alarm_price=(-1, 0, 0, 0)),
            "--false-alarm-price: expected 0 or more",
        ),
    ],
)
def test_rules_that_cannot_be_are_refused(make: Callable[[], InspectionRules], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("floor", "strips"), [(0.9, 9), (0.8, 4), (0.5, 1), (0.0, 0), (0.99, 20), (1.0, 20)])
def test_strips_that_a_recall_floor_needs(floor: float, strips: int) -> None:
    assert strips_needed(floor) == strips


def test_a_class_with_few_strips_keeps_its_point() -> None:
    old = OperatingPoint(class_threshold=(0.1,) * 4, threshold=(0.2,) * 4, min_area=(1, 2, 3, 4))
    new = OperatingPoint(class_threshold=(0.5,) * 4, threshold=(0.6,) * 4, min_area=(9, 9, 9, 9))
    found = keep_classes({"inspection": new}, {"inspection": old}, [False, True, True, False])["inspection"]
    assert found.class_threshold == (0.5, 0.1, 0.1, 0.5)
    assert found.threshold == (0.6, 0.2, 0.2, 0.6)
    assert found.min_area == (9, 2, 3, 9)
