"""Choice of operating points on validation strips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.errors import OptionError
from model_export.evaluation.curves import ThresholdCurves
from service.model.metadata import OperatingPoint
from service.model.postprocess import byte_threshold


@dataclass(frozen=True)
class InspectionRules:
    """What the profile inspection is to reach; a value per class, or one for all."""

    recall_floor: tuple[float, ...] = (0.9,)
    """Share of the strips with the class, of those to come, that must be reported where it can be had."""
    false_alarm_price: tuple[float, ...] = (1.0,)
    """Price of a false alarm: what a false-alarm rate of 1 costs in Dice on positives."""
    least_probability: tuple[float, ...] = (0.1,)
    """Lowest probability worth acting on: a class with a lower one is never reported, whatever the floor."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            OptionError: naming the option.
        """
        for name in ("recall_floor", "least_probability"):
            if not all(0 <= value <= 1 for value in getattr(self, name)):
                option = name.replace("_", "-")
                raise OptionError(f"--{option}: expected values of 0 to 1, got {getattr(self, name)}")
        if not all(0 <= value < np.inf for value in self.false_alarm_price):
            raise OptionError(f"--false-alarm-price: expected 0 or more, got {self.false_alarm_price}")

    def spread(self, classes: int) -> "InspectionRules":
        """Return the rules with a value for each class.

        Raises:
            OptionError: naming the option, if there are neither 1 nor ``classes`` values.
        """
        values: dict[str, tuple[float, ...]] = vars(self)
        for name, given in values.items():
            if len(given) not in (1, classes):
                raise OptionError(
                    f"--{name.replace('_', '-')}: expected 1 or {classes} numbers, one per "
                    f"class, got {len(given)}"
                )
        return InspectionRules(**{name: given * (classes // len(given)) for name, given in values.items()})


def _even_in_log_odds(first: float, last: float, count: int) -> tuple[float, ...]:
    return tuple(round(float(1 / (1 + np.exp(-x))), 4) for x in np.linspace(first, last, count))


# Rare classes have low probabilities: their thresholds lie far below 0.1, where even steps would be coarse.
# The lowest pixel threshold is the lowest byte, 1 of 255.
_THRESHOLDS = _even_in_log_odds(-5.6, 3.2, 23)
_MIN_AREAS = (0, 100, 200, 300, 500, 800, 1200, 2000, 3000, 4500)
_CLASS_THRESHOLDS = (0.0, *_even_in_log_odds(-7.2, 3.2, 27))

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Candidates:
    """Operating points of one class with their scores ``[class thresholds, pixel thresholds, areas]``."""

    class_thresholds: tuple[float, ...]
    dice_kaggle: Scores
    dice_positive: Scores
    recall: Scores
    false_alarm_rate: Scores


def tune(curves: ThresholdCurves, rules: InspectionRules) -> dict[str, OperatingPoint]:
    """Choose the operating point of every profile, by name.

    Kaggle's class thresholds are not lower than those of inspection: it gains next to nothing there, and
    strips on which inspection finds no class need no masks (``model_export.onnx_export.gate``).
    """
    inspection, kaggle = tune_inspection(curves, rules), tune_kaggle(curves)
    highest = tuple(map(max, inspection.class_threshold, kaggle.class_threshold))
    return {"inspection": inspection, "kaggle": kaggle.model_copy(update={"class_threshold": highest})}


def tune_kaggle(curves: ThresholdCurves) -> OperatingPoint:
    """Maximise Kaggle's mean Dice, class by class."""
    classes = [_candidates(curves, index) for index in range(curves.true.shape[1])]
    return _join([_choose(candidates, candidates.dice_kaggle) for candidates in classes])


def tune_inspection(curves: ThresholdCurves, rules: InspectionRules) -> OperatingPoint:
    """Maximise Dice on positives minus the price of false alarms, class by class, at the recall floor.

    The image-level recall must reach the floor on new strips, or be the highest possible at the least
    probability. Of ``n`` tuning strips with the class, ``recall_floor * (n + 1)`` must be found, rounded up:
    a point that only just reaches the floor on the strips that chose it falls short of it on others.
    Source: the rank of split conformal prediction, e.g. Angelopoulos and Bates, "A Gentle Introduction to
    Conformal Prediction and Distribution-Free Uncertainty Quantification", 2021.
    """
    chosen = []
    rules = rules.spread(curves.true.shape[1])
    for index in range(curves.true.shape[1]):
        candidates = _candidates(curves, index, rules.least_probability[index])
        count = max(1, int(np.count_nonzero(curves.true[:, index])))
        required = np.ceil(rules.recall_floor[index] * (count + 1) - 1e-9) / count
        floor = min(required, float(candidates.recall.max()))
        score = candidates.dice_positive - rules.false_alarm_price[index] * candidates.false_alarm_rate
        chosen.append(_choose(candidates, np.where(candidates.recall >= floor - 1e-9, score, -np.inf)))
    return _join(chosen)


_MOST_NEEDED = 20


def strips_needed(recall_floor: float) -> int:
    """Return how many strips with a class it takes to promise a recall for strips to come; at most 20.

    With fewer, even a point that finds all of them does not promise it (see ``tune_inspection``).
    """
    if recall_floor >= 1:
        return _MOST_NEEDED
    return min(_MOST_NEEDED, int(np.ceil(recall_floor / (1 - recall_floor) - 1e-9)))


def keep_classes(
    points: Mapping[str, OperatingPoint], old: Mapping[str, OperatingPoint], kept: Sequence[bool]
) -> dict[str, OperatingPoint]:
    """Return operating points, by profile, in which some classes have those of ``old``.

    Args:
        points: chosen anew.
        old: to keep, of the same profiles.
        kept: for each class, whether it is kept.
    """
    return {
        name: OperatingPoint.model_validate(
            {
                field: [
                    (before if keep else now)
                    for before, now, keep in zip(
                        getattr(old[name], field), getattr(point, field), kept, strict=True
                    )
                ]
                for field in OperatingPoint.model_fields
            }
        )
        for name, point in points.items()
    }


def _candidates(curves: ThresholdCurves, index: int, least: float = 0.0) -> _Candidates:
    class_thresholds = tuple(sorted({max(threshold, least) for threshold in _CLASS_THRESHOLDS}))
    true = curves.true[:, index]
    holds = true > 0
    likely = curves.probability[:, index] >= np.array(class_thresholds)[:, None]
    scores = np.zeros((4, len(class_thresholds), len(_THRESHOLDS), len(_MIN_AREAS)))
    for column, threshold in enumerate(_THRESHOLDS):
        level = byte_threshold(threshold)
        pixels, both = curves.predicted[:, index, level], curves.intersection[:, index, level]
        for layer, min_area in enumerate(_MIN_AREAS):
            kept = likely & (pixels >= max(1, min_area))
            total = np.where(kept, pixels, 0) + true
            dice = np.where(total == 0, 1.0, 2 * np.where(kept, both, 0) / np.maximum(total, 1))
            cell = scores[:, :, column, layer]
            cell[0] = dice.mean(axis=1)
            cell[1] = dice[:, holds].mean(axis=1) if holds.any() else 0.0
            cell[2] = kept[:, holds].mean(axis=1) if holds.any() else 1.0
            cell[3] = kept[:, ~holds].mean(axis=1) if (~holds).any() else 0.0
    return _Candidates(class_thresholds, *scores)


def _choose(candidates: _Candidates, score: Scores) -> tuple[float, float, int]:
    """Return the middle of the plateau of best points; its edge would overfit these few strips."""
    best = np.argwhere(score >= score.max() - 0.002)
    distance = np.abs(best - np.median(best, axis=0)).sum(axis=1)
    first, second, third = best[int(np.argmin(distance))]
    return candidates.class_thresholds[first], _THRESHOLDS[second], _MIN_AREAS[third]


def _join(chosen: list[tuple[float, float, int]]) -> OperatingPoint:
    class_threshold, threshold, min_area = zip(*chosen, strict=True)
    return OperatingPoint(class_threshold=class_threshold, threshold=threshold, min_area=min_area)
