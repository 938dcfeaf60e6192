"""Scores per class, always the same three: Kaggle's Dice, Dice on positives, recall and false alarms."""

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
    return tuple(
        class_score(index + 1, [strip[index] for strip in overlaps]) for index in range(CLASS_COUNT)
    )


def mean_of(values: Sequence[float | None]) -> float | None:
    """Average what is there."""
    return _mean([value for value in values if value is not None])


def format_table(scores: Sequence[ClassScore], names: Sequence[str]) -> str:
    """Write scores as a table with a line per class and their mean; '-' where no strip could tell."""
    header = f"{'class':<18}{'strips':>8}{'with':>6}  {'Dice':>7}{'if empty':>10}{'Dice+':>8}{'recall':>8}{'false alarms':>14}"
    lines = [header]
    for score, name in zip(scores, names, strict=True):
        lines.append(
            f"{f'{score.class_id} {name}':<18}{score.strips_with + score.strips_without:>8}{score.strips_with:>6}"
            + _cells(score.dice_kaggle, score.dice_kaggle_all_empty, score.dice_positive, score.recall, score.false_alarm_rate)
        )
    lines.append(
        f"{'mean':<18}{'':>14}"
        + _cells(
            mean_of([score.dice_kaggle for score in scores]),
            mean_of([score.dice_kaggle_all_empty for score in scores]),
            mean_of([score.dice_positive for score in scores]),
            mean_of([score.recall for score in scores]),
            mean_of([score.false_alarm_rate for score in scores]),
        )
    )
    lines.append(
        "Dice: mean over all strips as Kaggle defines it (an empty pair counts 1); 'if empty': what the "
        "answer\n'no defect anywhere' scores by it; Dice+: mean over the strips that hold the class."
    )
    return "\n".join(lines)


def _cells(*values: float | None) -> str:
    widths = (9, 10, 8, 8, 14)
    return "".join(
        f"{'-' if value is None else f'{value:.3f}':>{width}}" for value, width in zip(values, widths, strict=True)
    )
