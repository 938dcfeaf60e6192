"""Weights that turn scores of a selected sample into scores at the mill's balance of classes."""

from collections import Counter
from collections.abc import Sequence

from model_export.data.labelled_strip import LabelledStrip

BALANCE: dict[frozenset[int], int] = {
    frozenset(): 5887,
    frozenset({3}): 4750,
    frozenset({1}): 760,
    frozenset({4}): 507,
    frozenset({3, 4}): 280,
    frozenset({2}): 187,
    frozenset({1, 3}): 91,
    frozenset({1, 2}): 35,
    frozenset({2, 3}): 13,
    frozenset({1, 2, 3}): 2,
    frozenset({2, 4}): 1,
}
"""Number of strips per combination of classes, of 12,513 training images of Kaggle's "Severstal: Steel Defect
Detection" (counted from its label rows)."""

CLEAN_SHARE = BALANCE[frozenset()] / sum(BALANCE.values())


def mill_weights(strips: Sequence[LabelledStrip]) -> tuple[list[float], float]:
    """Weigh strips so that each combination of classes counts as at the mill (post-stratification).

    Returns:
        A weight per strip, with mean 1, and the share of the mill's strips whose combination occurs in the
        sample; the sample says nothing about the others.
    """
    counts = Counter(strip.classes for strip in strips)
    covered = sum(BALANCE.get(classes, 0) for classes in counts)
    weights = [BALANCE.get(strip.classes, 0) / counts[strip.classes] for strip in strips]
    scale = len(strips) / covered if covered else 0.0
    return [weight * scale for weight in weights], covered / sum(BALANCE.values())
