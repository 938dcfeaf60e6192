"""Pixel counts at every threshold: enough to score any operating point without running the model again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.tile import Tile
from model_export.evaluation.frames import FramePrediction
from model_export.evaluation.overlaps import predict_strips
from model_export.evaluation.torch_session import SupportsInfer

LEVELS = 256
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ThresholdCurves:
    """Pixel counts at each of the 256 possible byte thresholds, for each strip and class."""

    names: tuple[str, ...]
    probability: npt.NDArray[np.float64]
    """float64 ``[strips, classes]``: image-level probability."""
    true: Counts
    """``[strips, classes]``: pixels of the truth."""
    predicted: Counts
    """``[strips, classes, 256]``: pixels at or above each byte threshold."""
    intersection: Counts
    """``[strips, classes, 256]``: the true ones among these pixels."""

    @classmethod
    def join(cls, parts: Sequence["ThresholdCurves"]) -> "ThresholdCurves":
        """Concatenate the strips of several models."""
        return cls(
            names=tuple(name for part in parts for name in part.names),
            probability=np.concatenate([part.probability for part in parts]),
            true=np.concatenate([part.true for part in parts]),
            predicted=np.concatenate([part.predicted for part in parts]),
            intersection=np.concatenate([part.intersection for part in parts]),
        )

    def select(self, chosen: npt.NDArray[np.bool_]) -> "ThresholdCurves":
        """Return the chosen strips; ``chosen`` is bool ``[strips]``."""
        return ThresholdCurves(
            names=tuple(compress(self.names, chosen)),
            probability=self.probability[chosen],
            true=self.true[chosen],
            predicted=self.predicted[chosen],
            intersection=self.intersection[chosen],
        )

    def dice(self) -> npt.NDArray[np.float64]:
        """Return Dice at each byte threshold, ``[strips, classes, 256]``; nan without the class."""
        true = self.true[:, :, None]
        return np.where(true > 0, 2 * self.intersection / np.maximum(self.predicted + true, 1), np.nan)


def count_at_or_above(bytes_: npt.NDArray[np.uint8]) -> Counts:
    """Return the number of values at or above each byte, ``[256]``."""
    counts = np.bincount(bytes_.reshape(-1), minlength=LEVELS)
    return np.cumsum(counts[::-1])[::-1]


def count_pixels(name: str, truth: Masks, prediction: FramePrediction) -> ThresholdCurves:
    """Count the pixels of one strip."""
    whole = prediction.whole()
    count = len(truth)
    true = np.zeros((1, count), dtype=np.int64)
    predicted = np.zeros((1, count, LEVELS), dtype=np.int64)
    both = np.zeros((1, count, LEVELS), dtype=np.int64)
    for index in range(count):
        columns = truth[index].T
        true[0, index] = np.count_nonzero(columns)
        predicted[0, index] = count_at_or_above(whole.masks[index])
        both[0, index] = count_at_or_above(whole.masks[index][columns])
    return ThresholdCurves((name,), whole.classes[None].astype(np.float64), true, predicted, both)


def measure_curves(
    session: SupportsInfer, strips: Sequence[LabelledStrip], tile: Tile, title: str = "measuring"
) -> ThresholdCurves:
    """Run strips one at a time and count their pixels."""
    predictions = predict_strips(session, strips, tile, title)
    return ThresholdCurves.join(
        [count_pixels(strip.name, *prediction) for strip, prediction in zip(strips, predictions, strict=True)]
    )
