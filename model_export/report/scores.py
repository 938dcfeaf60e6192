"""The table of scores, as text with intervals."""

from collections.abc import Sequence

import numpy as np

from model_export.metrics import Overlap, class_scores, wilson_interval
from service.model.metadata import ClassScore, DefectClass

ScoreRow = Sequence[str]
"""Cells of one class."""

_RESAMPLES = 1000


def score_rows(overlaps: Sequence[Sequence[Overlap]], classes: Sequence[DefectClass]) -> list[ScoreRow]:
    """Return the cells of every class, in the order of the page's columns."""
    return [
        _row(score, kind.name, [strip[index] for strip in overlaps])
        for index, (score, kind) in enumerate(
            zip(class_scores(overlaps, [kind.id for kind in classes]), classes, strict=True)
        )
    ]


def _row(score: ClassScore, name: str, overlaps: Sequence[Overlap]) -> ScoreRow:
    dice = np.array([overlap.dice for overlap in overlaps if overlap.true])
    return (
        f"{score.class_id} {name}",
        str(score.strips_with),
        str(score.strips_without),
        _with_interval(score.dice_positive, bootstrap_interval(dice) if dice.size else None),
        _share(score.recall, score.strips_with),
        _share(score.located_recall, score.strips_with),
        _share(score.false_alarm_rate, score.strips_without, 1000),
        _number(score.instance_precision),
        _number(score.instance_recall),
        _number(score.dice_kaggle),
        _number(score.dice_kaggle_all_empty),
    )


def bootstrap_interval(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the 95 % interval of a mean over strips: percentiles of the means of resampled strips.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    draws = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _share(share: float | None, count: int, per: int = 1) -> str:
    if share is None:
        return "-"
    low, high = wilson_interval(share, count)
    if per == 1:
        return _with_interval(share, (low, high))
    return f"{per * share:.0f} ({per * low:.0f} to {per * high:.0f})"


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    return (
        "-" if value is None or interval is None else f"{value:.3f} ({interval[0]:.2f} to {interval[1]:.2f})"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
