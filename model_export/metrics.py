"""Scores per class: Dice, recall and false alarms of strips, masks in the right place, connected defects."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.model.metadata import ClassScore

LOCATED = 0.1
"""Least intersection over union at which a mask, or a connected part of it, is in the right place."""


class InstanceCounts(NamedTuple):
    """Connected parts of the predicted and the true mask of one class on one strip."""

    predicted: int
    true: int
    matched: int
    """Pairs of a predicted and a true one whose intersection over union reaches ``LOCATED``."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixel counts of prediction and truth for one class on one strip."""

    predicted: int
    true: int
    intersection: int
    """Pixels of both."""
    instances: InstanceCounts | None = field(default=None, compare=False)
    """None where only pixels were counted."""

    @property
    def dice(self) -> float:
        """Dice as Kaggle defines it: 1 if both masks are empty, 0 if exactly one is.

        Source: the "Evaluation" page of Kaggle's "Severstal: Steel Defect Detection".
        """
        total = self.predicted + self.true
        return 1.0 if total == 0 else 2 * self.intersection / total

    @property
    def iou(self) -> float:
        """Intersection over union: 1 if both masks are empty, 0 if exactly one is."""
        union = self.predicted + self.true - self.intersection
        return 1.0 if union == 0 else self.intersection / union


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

    counts = [(overlap.instances, weight) for overlap, weight in pairs if overlap.instances is not None]

    def instance_share(total: Callable[[InstanceCounts], int]) -> float | None:
        all_of_them = sum(weight * total(one) for one, weight in counts)
        matched = sum(weight * one.matched for one, weight in counts)
        return matched / all_of_them if all_of_them else None

    return ClassScore(
        class_id=class_id,
        strips_with=len(with_class),
        strips_without=len(without),
        dice_kaggle=mean(lambda overlap: overlap.dice, pairs),
        dice_kaggle_all_empty=mean(lambda overlap: float(overlap.true == 0), pairs),
        dice_positive=mean(lambda overlap: overlap.dice, with_class),
        recall=mean(lambda overlap: float(overlap.predicted > 0), with_class),
        false_alarm_rate=mean(lambda overlap: float(overlap.predicted > 0), without),
        iou=mean(lambda overlap: overlap.iou, with_class),
        located_recall=mean(lambda overlap: float(overlap.iou >= LOCATED), with_class),
        instance_precision=instance_share(lambda one: one.predicted),
        instance_recall=instance_share(lambda one: one.true),
    )


def class_scores(
    overlaps: Sequence[Sequence[Overlap]], class_ids: Sequence[int], weights: Sequence[float] | None = None
) -> tuple[ClassScore, ...]:
    """Score every class.

    Args:
        overlaps: per strip, an entry per class.
        class_ids: of the classes.
        weights: weight of each strip; None weighs all equally.
    """
    return tuple(
        class_score(class_id, [strip[index] for strip in overlaps], weights)
        for index, class_id in enumerate(class_ids)
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


_COLUMNS = {
    "dice_kaggle": "Dice",
    "dice_kaggle_all_empty": "if empty",
    "dice_positive": "Dice+",
    "iou": "IoU+",
    "recall": "recall",
    "located_recall": "located",
    "false_alarm_rate": "false alarms",
    "instance_precision": "defects right",
    "instance_recall": "defects found",
}
"""Titles by field."""


def format_table(scores: Sequence[ClassScore], names: Sequence[str]) -> str:
    """Format scores as a table with a line per class and their mean; '-' where a score is undefined."""
    titles = "".join(f"{title:>{_width(title)}}" for title in _COLUMNS.values())
    labels = [f"{score.class_id} {name}" for score, name in zip(scores, names, strict=True)]
    width = max(18, *(len(label) + 1 for label in labels))
    lines = [f"{'class':<{width}}{'strips':>8}{'with':>6}{titles}"]
    for score, label in zip(scores, labels, strict=True):
        strips = score.strips_with + score.strips_without
        values = [getattr(score, column) for column in _COLUMNS]
        lines.append(f"{label:<{width}}{strips:>8}{score.strips_with:>6}{_cells(values)}")
    means = [mean_or_none([getattr(score, column) for score in scores]) for column in _COLUMNS]
    lines.append(f"{'mean':<{width + 14}}{_cells(means)}")
    lines.append(
        "Dice: mean over all strips as Kaggle defines it (two empty masks count 1); 'if empty': the same\n"
        "score for 'no defect anywhere'; Dice+, IoU+: means over the strips with the class; recall: share\n"
        f"of these on which it is reported; located: with a mask in the right place (IoU of {LOCATED} on).\n"
        "Defects are connected parts of masks: right, share of the reported ones that match a true one;\n"
        "found, share of the true ones that match."
    )
    return "\n".join(lines)


def _cells(values: Sequence[float | None]) -> str:
    texts = ["-" if value is None else f"{value:.3f}" for value in values]
    return "".join(f"{text:>{_width(title)}}" for text, title in zip(texts, _COLUMNS.values(), strict=True))


def _width(title: str) -> int:
    return max(len(title), 5) + 2
