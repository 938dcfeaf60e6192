"""Strips whose labels the model contradicts most surely: candidates for a second look."""

from dataclasses import dataclass

from model_export.data.classes import Classes
from model_export.evaluation.calibrate import log_odds
from model_export.metrics import LOCATED
from model_export.report.captions import numbered
from model_export.report.held_out import HeldOutResults


@dataclass(frozen=True)
class Suspicion:
    """A label that may be wrong."""

    row: int
    """Of the results."""
    position: int
    """Of the class."""
    doubt: float
    """Log-odds of the class against its label."""
    reason: str


def suspect_labels(results: HeldOutResults, classes: Classes, count: int) -> list[Suspicion]:
    """Rank labels that a model contradicts that was not trained on them, the surest contradiction first.

    A class is contradicted where it is reported without a label, labelled and not reported, or reported
    elsewhere than labelled. Its doubt is how far its probability lies on the other side of even odds; a mask
    elsewhere is doubtful by the probability itself. Each strip is listed once.
    """
    found: list[Suspicion] = []
    odds = log_odds(results.curves.probability)
    for row, strip in enumerate(results.overlaps):
        for (index, kind), overlap in zip(numbered(classes), strip, strict=True):
            probability = results.curves.probability[row, index]
            if not overlap.true and overlap.predicted:
                doubt, reason = (
                    odds[row, index],
                    f"no label, but {kind} at a probability of {probability:.2f}",
                )
            elif overlap.true and not overlap.predicted:
                doubt, reason = -odds[row, index], f"labelled {kind}, at a probability of {probability:.2f}"
            elif overlap.true and overlap.iou < LOCATED:
                doubt, reason = odds[row, index], f"{kind} elsewhere than labelled (IoU {overlap.iou:.2f})"
            else:
                continue
            found.append(Suspicion(row, index, float(doubt), reason))
    found.sort(key=lambda one: -one.doubt)
    listed: dict[int, Suspicion] = {}
    for one in found:
        listed.setdefault(one.row, one)
    return list(listed.values())[:count]
