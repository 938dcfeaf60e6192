"""Dice, recall, false alarms, and the table of scores."""

import pytest

from model_export.metrics import (
    InstanceCounts,
    Overlap,
    class_score,
    class_scores,
    format_table,
    mean_or_none,
    rejection_at_recall,
    roc_auc,
    wilson_interval,
)


def test_dice_as_kaggle_defines_it() -> None:
    assert Overlap(predicted=0, true=0, intersection=0).dice == 1
    assert Overlap(predicted=1, true=0, intersection=0).dice == 0
    assert Overlap(predicted=0, true=1, intersection=0).dice == 0
    assert Overlap(predicted=30, true=10, intersection=10).dice == 0.5


def test_the_three_scores() -> None:
    hit, miss = Overlap(30, 10, 10), Overlap(0, 5, 0)
    clean, alarm = Overlap(0, 0, 0), Overlap(9, 0, 0)
    score = class_score(2, [hit, miss, clean, clean, alarm])
    assert (score.strips_with, score.strips_without) == (2, 3)
    assert score.dice_kaggle == pytest.approx((0.5 + 0 + 1 + 1 + 0) / 5)
    assert score.dice_kaggle_all_empty == pytest.approx(3 / 5)
    assert score.dice_positive == pytest.approx(0.25)
    assert score.recall == pytest.approx(0.5)
    assert score.false_alarm_rate == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [(1.0, 5, 0.566, 1.0), (0.6, 5, 0.231, 0.882), (1.0, 12, 0.757, 1.0), (0.0, 30, 0.0, 0.114)],
)
def test_wilson_intervals(share: float, count: int, low: float, high: float) -> None:
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=2e-3)


def test_scores_that_nothing_could_tell_are_none() -> None:
    scores = class_scores([[Overlap(0, 0, 0)] * 4], (1, 2, 3, 4))
    assert scores[0].recall is None
    assert scores[0].dice_positive is None
    assert mean_or_none([None, 1.0, None, 0.0]) == 0.5
    assert mean_or_none([None]) is None
    table = format_table(scores, ["a", "b", "c", "d"])
    assert table.splitlines()[1].split() == [
        *("1", "a", "1", "0", "1.000", "1.000"),
        *("-", "-", "-", "-", "0.000", "-", "-"),
    ]


def test_the_area_under_the_curve() -> None:
    assert roc_auc([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 1
    assert roc_auc([0.5, 0.5], [False, True]) == 0.5
    assert roc_auc([0.9, 0.1], [False, True]) == 0


def test_what_a_gate_rejects() -> None:
    positives, negatives = [0.1, 0.4, 0.5, 0.6, 0.7], [0.05, 0.2, 0.3, 0.9]
    flags = [True] * 5 + [False] * 4
    assert rejection_at_recall(positives + negatives, flags, 1.0) == (0.1, 0.25)
    assert rejection_at_recall(positives + negatives, flags, 0.8) == (0.4, 0.75)


def test_a_strip_counts_as_much_as_its_weight() -> None:
    overlaps = [Overlap(10, 10, 10), Overlap(0, 10, 0), Overlap(5, 0, 0), Overlap(0, 0, 0)]
    score = class_score(1, overlaps, [3, 1, 1, 4])
    assert score.dice_positive == pytest.approx(0.75)
    assert score.recall == pytest.approx(0.75)
    assert score.false_alarm_rate == pytest.approx(0.2)
    assert score.dice_kaggle == pytest.approx(7 / 9)
    assert class_score(1, overlaps[:2], [1, 1]).false_alarm_rate is None


def test_a_mask_in_the_wrong_place_is_found_but_not_located() -> None:
    elsewhere, there = Overlap(100, 100, 5), Overlap(100, 100, 20)
    score = class_score(1, [elsewhere, there, Overlap(0, 0, 0)])
    assert score.recall == 1
    assert score.located_recall == 0.5
    assert score.iou == pytest.approx((5 / 195 + 20 / 180) / 2)
    assert score.instance_recall is None
    assert Overlap(0, 0, 0).iou == 1


def test_connected_defects_are_shares_of_all_of_them() -> None:
    strips = [
        Overlap(9, 9, 9, InstanceCounts(predicted=3, true=2, matched=2)),
        Overlap(9, 0, 0, InstanceCounts(predicted=1, true=0, matched=0)),
    ]
    score = class_score(1, strips)
    assert (score.instance_precision, score.instance_recall) == (0.5, 1.0)
    assert class_score(1, strips, [1, 3]).instance_precision == pytest.approx(2 / 6)
