"""Choice of operating points on validation strips."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.evaluation.curves import ThresholdCurves
from service.geometry import CLASS_COUNT
from service.model.metadata import OperatingPoint

RECALL_FLOOR = 0.9


def _even_in_log_odds(first: float, last: float, count: int) -> tuple[float, ...]:
    return tuple(round(float(1 / (1 + np.exp(-x))), 4) for x in np.linspace(first, last, count))


# Rare classes have low probabilities: their thresholds lie far below 0.1, where even steps would be coarse.
_THRESHOLDS = _even_in_log_odds(-4.8, 2.4, 19)
_MIN_AREAS = (0, 100, 200, 300, 500, 800, 1200, 2000, 3000, 4500)
_CLASS_THRESHOLDS = (0.0, *_even_in_log_odds(-7.2, 3.2, 27))

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Candidates:
    """Every operating point of one class with its scores; arrays ``[candidates]``."""

    points: list[tuple[float, float, int]]
    """Class threshold, pixel threshold and minimum area."""
    dice_kaggle: Scores
    dice_positive: Scores
    recall: Scores
    false_alarm_rate: Scores


def tune(curves: ThresholdCurves) -> dict[str, OperatingPoint]:
    """Choose the operating point of every profile, by name.

    Kaggle's class thresholds are not lower than those of inspection: it gains next to nothing there, and
    strips on which inspection finds no class need no masks (``model_export.onnx_export.gate``).
    """
    inspection, kaggle = tune_inspection(curves), tune_kaggle(curves)
    first, second, third, fourth = map(max, inspection.class_threshold, kaggle.class_threshold)
    return {
        "inspection": inspection,
        "kaggle": kaggle.model_copy(update={"class_threshold": (first, second, third, fourth)}),
    }


def tune_kaggle(curves: ThresholdCurves) -> OperatingPoint:
    """Maximise Kaggle's mean Dice, class by class."""
    classes = [_candidates(curves, index) for index in range(CLASS_COUNT)]
    return _join([_choose(candidates.points, candidates.dice_kaggle) for candidates in classes])


def tune_inspection(curves: ThresholdCurves, recall_floor: float = RECALL_FLOOR) -> OperatingPoint:
    """Maximise Dice on positives minus the false-alarm rate, class by class, at the recall floor.

    The image-level recall must reach the floor on new strips, or be the highest possible. Of ``n`` tuning
    strips with the class, ``recall_floor * (n + 1)`` must be found, rounded up: a point that only just
    reaches the floor on the strips that chose it falls short of it on others.
    Source: the rank of split conformal prediction, e.g. Angelopoulos and Bates, "A Gentle Introduction to
    Conformal Prediction and Distribution-Free Uncertainty Quantification", 2021.
    """
    chosen = []
    for index in range(CLASS_COUNT):
        candidates = _candidates(curves, index)
        count = max(1, int(np.count_nonzero(curves.true[:, index])))
        required = np.ceil(recall_floor * (count + 1) - 1e-9) / count
        floor = min(required, float(candidates.recall.max()))
        score = candidates.dice_positive - candidates.false_alarm_rate
        chosen.append(_choose(candidates.points, np.where(candidates.recall >= floor - 1e-9, score, -np.inf)))
    return _join(chosen)


def _candidates(curves: ThresholdCurves, index: int) -> _Candidates:
    true = curves.true[:, index]
    holds = true > 0
    points = list(itertools.product(_CLASS_THRESHOLDS, _THRESHOLDS, _MIN_AREAS))
    rows = np.zeros((4, len(points)))
    for number, (class_threshold, threshold, min_area) in enumerate(points):
        level = int(np.ceil(threshold * 255 - 1e-9))
        area = curves.predicted[:, index, level]
        kept = (curves.probability[:, index] >= class_threshold) & (area >= max(1, min_area))
        area = np.where(kept, area, 0)
        both = np.where(kept, curves.intersection[:, index, level], 0)
        total = area + true
        dice = np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1))
        rows[:, number] = (
            dice.mean(),
            dice[holds].mean() if holds.any() else 0.0,
            kept[holds].mean() if holds.any() else 1.0,
            kept[~holds].mean() if (~holds).any() else 0.0,
        )
    return _Candidates(points, *rows)


def _choose(points: list[tuple[float, float, int]], score: Scores) -> tuple[float, float, int]:
    """Return the middle of the plateau of best points; its edge would overfit these few strips."""
    best = np.flatnonzero(score >= score.max() - 0.002)
    ranks = np.array(
        [
            (
                _CLASS_THRESHOLDS.index(points[i][0]),
                _THRESHOLDS.index(points[i][1]),
                _MIN_AREAS.index(points[i][2]),
            )
            for i in best
        ],
        dtype=np.float64,
    )
    distance = np.abs(ranks - np.median(ranks, axis=0)).sum(axis=1)
    return points[int(best[int(np.argmin(distance))])]


def _join(chosen: list[tuple[float, float, int]]) -> OperatingPoint:
    class_threshold, threshold, min_area = zip(*chosen, strict=True)
    return OperatingPoint(class_threshold=class_threshold, threshold=threshold, min_area=min_area)
