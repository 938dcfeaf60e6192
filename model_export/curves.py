"""What a model answers on labelled strips, kept small enough to try every operating point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_export.data import LabelledStrip
from model_export.torch_session import Answers
from service.metadata import CLASS_COUNT

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

    def dice(self) -> npt.NDArray[np.float64]:
        """Dice at each byte threshold, ``[strips, 4, 256]``; nan where the strip lacks the class."""
        true = self.true[:, :, None]
        return np.where(true > 0, 2 * self.both / np.maximum(self.predicted + true, 1), np.nan)


def at_or_above(bytes_: npt.NDArray[np.uint8]) -> Counts:
    """Count values at or above each byte, ``[256]``."""
    counts = np.bincount(bytes_.reshape(-1), minlength=LEVELS)
    return np.cumsum(counts[::-1])[::-1]


def measure(session: Answers, strips: Sequence[LabelledStrip], title: str = "measuring") -> ThresholdCurves:
    """Run strips through the service's session, one at a time."""
    shape = (len(strips), CLASS_COUNT)
    probability = np.zeros(shape)
    true = np.zeros(shape, dtype=np.int64)
    predicted = np.zeros((*shape, LEVELS), dtype=np.int64)
    both = np.zeros((*shape, LEVELS), dtype=np.int64)
    for row, strip in enumerate(tqdm(strips, title, unit="strip", dynamic_ncols=True)):
        image, truth = strip.load()
        answer = session.infer([image])[0]
        probability[row] = answer.classes
        for index in range(CLASS_COUNT):
            columns = truth[index].T
            true[row, index] = np.count_nonzero(columns)
            predicted[row, index] = at_or_above(answer.masks[index])
            both[row, index] = at_or_above(answer.masks[index][columns])
    return ThresholdCurves(tuple(strip.name for strip in strips), probability, true, predicted, both)
