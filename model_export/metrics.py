"""Scores per class, always the same three: Kaggle's Dice, Dice on positives, recall and false alarms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.metadata import CLASS_COUNT, ClassScore


@dataclass(frozen=True, slots=True)
class Overlap:
    """Prediction against truth for one class on one strip, in pixels."""

    predicted: int
    true: int
    both: int

    @property
    def dice(self) -> float:
        """Dice as Kaggle defines it: 1 if both are empty, 0 if exactly one is.

        Source: the "Evaluation" page of Kaggle's "Severstal: Steel Defect Detection".
        """
        total = self.predicted + self.true
        return 1.0 if total == 0 else 2 * self.both / total


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def class_score(class_id: int, overlaps: Sequence[Overlap]) -> ClassScore:
    """Score one class over strips."""
    with_class = [overlap for overlap in overlaps if overlap.true]
    without = [overlap for overlap in overlaps if not overlap.true]
    return ClassScore(
        class_id=class_id,
        strips_with=len(with_class),
        strips_without=len(without),
        dice_kaggle=_mean([overlap.dice for overlap in overlaps]),
        dice_kaggle_all_empty=_mean([float(overlap.true == 0) for overlap in overlaps]),
        dice_positive=_mean([overlap.dice for overlap in with_class]),
        recall=_mean([float(overlap.predicted > 0) for overlap in with_class]),
        false_alarm_rate=_mean([float(overlap.predicted > 0) for overlap in without]),
    )


def class_scores(overlaps: Sequence[Sequence[Overlap]]) -> tuple[ClassScore, ...]:
    """Score every class; ``overlaps`` holds, strip by strip, one entry per class."""
    return tuple(class_score(index + 1, [strip[index] for strip in overlaps]) for index in range(CLASS_COUNT))


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Give the 95 % interval of a share measured on ``count`` strips.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    z = 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Average what is there."""
    return _mean([value for value in values if value is not None])


_COLUMNS = ("dice_kaggle", "dice_kaggle_all_empty", "dice_positive", "recall", "false_alarm_rate")


def format_table(scores: Sequence[ClassScore], names: Sequence[str]) -> str:
    """Write scores as a table with a line per class and their mean; '-' where no strip could tell."""
    lines = [f"{'class':<18}{'strips':>8}{'with':>6}     Dice  if empty   Dice+  recall  false alarms"]
    for score, name in zip(scores, names, strict=True):
        label = f"{score.class_id} {name}"
        strips = score.strips_with + score.strips_without
        values = [getattr(score, column) for column in _COLUMNS]
        lines.append(f"{label:<18}{strips:>8}{score.strips_with:>6}{_cells(values)}")
    means = [mean_of([getattr(score, column) for score in scores]) for column in _COLUMNS]
    lines.append(f"{'mean':<32}{_cells(means)}")
    lines.append(
        "Dice: mean over all strips as Kaggle defines it (an empty pair counts 1); 'if empty': what the\n"
        "answer 'no defect anywhere' scores by it; Dice+: mean over the strips that hold the class."
    )
    return "\n".join(lines)


def _cells(values: Sequence[float | None]) -> str:
    texts = ["-" if value is None else f"{value:.3f}" for value in values]
    return "".join(f"{text:>{width}}" for text, width in zip(texts, (9, 10, 8, 8, 14), strict=True))
