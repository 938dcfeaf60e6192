"""Scores per class: Kaggle's Dice, Dice on positives, recall and false-alarm rate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.geometry import CLASS_COUNT
from service.model.metadata import ClassScore


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixel counts of prediction and truth for one class on one strip."""

    predicted: int
    true: int
    intersection: int
    """Pixels of both."""

    @property
    def dice(self) -> float:
        """Dice as Kaggle defines it: 1 if both masks are empty, 0 if exactly one is.

        Source: the "Evaluation" page of Kaggle's "Severstal: Steel Defect Detection".
        """
        total = self.predicted + self.true
        return 1.0 if total == 0 else 2 * self.intersection / total


def _mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float | None:
    """Return the weighted mean; None if the weights add up to 0."""
    total = len(values) if weights is None else sum(weights)
    if not total:
        return None
    if weights is None:
        return sum(values) / total
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total


def class_score(
    class_id: int, overlaps: Sequence[Overlap], weights: Sequence[float] | None = None
) -> ClassScore:
    """Score one class over strips, optionally weighted."""
    counted = weights or [1.0] * len(overlaps)
    pairs = list(zip(overlaps, counted, strict=True))
    with_class = [(overlap, weight) for overlap, weight in pairs if overlap.true]
    without = [(overlap, weight) for overlap, weight in pairs if not overlap.true]

    def mean(of: Callable[[Overlap], float], chosen: Sequence[tuple[Overlap, float]]) -> float | None:
        return _mean(
            [of(overlap) for overlap, _ in chosen],
            None if weights is None else [weight for _, weight in chosen],
        )

    return ClassScore(
        class_id=class_id,
        strips_with=len(with_class),
        strips_without=len(without),
        dice_kaggle=mean(lambda overlap: overlap.dice, pairs),
        dice_kaggle_all_empty=mean(lambda overlap: float(overlap.true == 0), pairs),
        dice_positive=mean(lambda overlap: overlap.dice, with_class),
        recall=mean(lambda overlap: float(overlap.predicted > 0), with_class),
        false_alarm_rate=mean(lambda overlap: float(overlap.predicted > 0), without),
    )


def class_scores(
    overlaps: Sequence[Sequence[Overlap]], weights: Sequence[float] | None = None
) -> tuple[ClassScore, ...]:
    """Score every class.

    Args:
        overlaps: per strip, an entry per class.
        weights: weight of each strip; None weighs all equally.
    """
    return tuple(
        class_score(index + 1, [strip[index] for strip in overlaps], weights) for index in range(CLASS_COUNT)
    )


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share measured on ``count`` strips.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    z = 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def roc_auc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return the probability that a positive scores higher than a negative; equal scores count half.

    Source: the Mann-Whitney statistic, Hanley and McNeil, 1982.
    """
    values, flags = np.asarray(scores), np.asarray(positive, dtype=np.bool_)
    difference = values[flags][:, None] - values[~flags][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def rejection_at_recall(scores: npt.ArrayLike, positive: npt.ArrayLike, recall: float) -> tuple[float, float]:
    """Find the highest threshold at which ``recall`` of the positives pass.

    It is a point of the ROC curve of these strips, so no estimate for new ones.

    Returns:
        The threshold, and the share of negatives below it.
    """
    values, flags = np.asarray(scores), np.asarray(positive, dtype=np.bool_)
    ordered = np.sort(values[flags])
    threshold = float(ordered[int(np.floor((1 - recall) * len(ordered) + 1e-9))])
    return threshold, float(np.mean(values[~flags] < threshold))


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    return _mean([value for value in values if value is not None])


_COLUMNS = ("dice_kaggle", "dice_kaggle_all_empty", "dice_positive", "recall", "false_alarm_rate")


def format_table(scores: Sequence[ClassScore], names: Sequence[str]) -> str:
    """Format scores as a table with a line per class and their mean; '-' where a score is undefined."""
    lines = [f"{'class':<18}{'strips':>8}{'with':>6}     Dice  if empty   Dice+  recall  false alarms"]
    for score, name in zip(scores, names, strict=True):
        label = f"{score.class_id} {name}"
        strips = score.strips_with + score.strips_without
        values = [getattr(score, column) for column in _COLUMNS]
        lines.append(f"{label:<18}{strips:>8}{score.strips_with:>6}{_cells(values)}")
    means = [mean_or_none([getattr(score, column) for score in scores]) for column in _COLUMNS]
    lines.append(f"{'mean':<32}{_cells(means)}")
    lines.append(
        "Dice: mean over all strips as Kaggle defines it (two empty masks count 1); 'if empty': the same\n"
        "score for 'no defect anywhere'; Dice+: mean over the strips with the class."
    )
    return "\n".join(lines)


def _cells(values: Sequence[float | None]) -> str:
    texts = ["-" if value is None else f"{value:.3f}" for value in values]
    return "".join(f"{text:>{width}}" for text, width in zip(texts, (9, 10, 8, 8, 14), strict=True))
