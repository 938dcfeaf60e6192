"""What a model answers on labelled strips, kept small enough to try every operating point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.evaluation.overlaps import answered
from model_export.evaluation.torch_session import Answers
from model_export.metrics import Overlap
from service.geometry import CLASS_COUNT
from service.model.metadata import OperatingPoint
from service.model.session import Probabilities

LEVELS = 256
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ThresholdCurves:
    """Pixel counts at each of the 256 possible byte thresholds, for each strip and class."""

    names: tuple[str, ...]
    probability: npt.NDArray[np.float64]
    """float64 ``[strips, 4]``: image-level probability."""
    true: Counts
    """``[strips, 4]``: pixels of the truth."""
    predicted: Counts
    """``[strips, 4, 256]``: pixels at or above each byte."""
    both: Counts
    """``[strips, 4, 256]``: those of them that are true."""

    @classmethod
    def join(cls, parts: Sequence["ThresholdCurves"]) -> "ThresholdCurves":
        """Put the strips of several models together."""
        return cls(
            names=tuple(name for part in parts for name in part.names),
            probability=np.concatenate([part.probability for part in parts]),
            true=np.concatenate([part.true for part in parts]),
            predicted=np.concatenate([part.predicted for part in parts]),
            both=np.concatenate([part.both for part in parts]),
        )

    def overlaps(self, point: OperatingPoint) -> list[list[Overlap]]:
        """Give what ``service.postprocess.segment`` finds at an operating point, in pixels."""
        levels = [point.byte_threshold(index) for index in range(CLASS_COUNT)]
        classes = np.arange(CLASS_COUNT)
        area = self.predicted[:, classes, levels]
        kept = (self.probability >= point.class_threshold) & (area >= np.maximum(1, point.min_area))
        rows = zip(
            np.where(kept, area, 0).tolist(),
            self.true.tolist(),
            np.where(kept, self.both[:, classes, levels], 0).tolist(),
            strict=True,
        )
        return [[Overlap(*counts) for counts in zip(*row, strict=True)] for row in rows]

    def dice(self) -> npt.NDArray[np.float64]:
        """Dice at each byte threshold, ``[strips, 4, 256]``; nan where the strip lacks the class."""
        true = self.true[:, :, None]
        return np.where(true > 0, 2 * self.both / np.maximum(self.predicted + true, 1), np.nan)


def at_or_above(bytes_: npt.NDArray[np.uint8]) -> Counts:
    """Count values at or above each byte, ``[256]``."""
    counts = np.bincount(bytes_.reshape(-1), minlength=LEVELS)
    return np.cumsum(counts[::-1])[::-1]


def tally(name: str, truth: Masks, answer: Probabilities) -> ThresholdCurves:
    """Count the pixels of one answered strip."""
    true = np.zeros((1, CLASS_COUNT), dtype=np.int64)
    predicted = np.zeros((1, CLASS_COUNT, LEVELS), dtype=np.int64)
    both = np.zeros((1, CLASS_COUNT, LEVELS), dtype=np.int64)
    for index in range(CLASS_COUNT):
        columns = truth[index].T
        true[0, index] = np.count_nonzero(columns)
        predicted[0, index] = at_or_above(answer.masks[index])
        both[0, index] = at_or_above(answer.masks[index][columns])
    return ThresholdCurves((name,), answer.classes[None].astype(np.float64), true, predicted, both)


def measure(session: Answers, strips: Sequence[LabelledStrip], title: str = "measuring") -> ThresholdCurves:
    """Run strips through the service's session, one at a time."""
    answers = answered(session, strips, title)
    return ThresholdCurves.join(
        [tally(strip.name, *answer) for strip, answer in zip(strips, answers, strict=True)]
    )
