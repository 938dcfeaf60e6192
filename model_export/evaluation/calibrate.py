"""Calibration of class probabilities: temperature scaling on validation strips."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile, cut_frame
from service.model.metadata import Calibration, ReviewBand, ReviewBands

Logits = npt.NDArray[np.float64]
"""float64 ``[strips, classes]``."""

_MISSED = 0.02
"""Most strips with a class among those that are called free of it."""
_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8), 241))


@torch.inference_mode()
def compute_class_logits(
    network: nn.Module, strips: Sequence[LabelledStrip], tile: Tile, classes: int
) -> tuple[Logits, Logits]:
    """Run the classifier head on strips; return its logits and the truth as 0 and 1.

    The logit of a strip of several tiles is the highest of them, as the service takes it.
    """
    logits = np.zeros((len(strips), classes))
    truth = np.zeros((len(strips), classes))
    for row, strip in enumerate(tqdm(strips, "calibrating", unit="strip", dynamic_ncols=True)):
        images = [torch.tensor(one).float()[None, None] for one in cut_frame(strip.load()[0], tile).tiles]
        logits[row] = np.max([network(image)[1][0].double().numpy() for image in images], axis=0)
        truth[row, list(strip.classes)] = 1
    return logits, truth


def fit_temperature(logits: Logits, truth: Logits) -> Calibration:
    """Find the temperature, one for all classes, with the lowest cross-entropy.

    A single number does not overfit a few strips, and it keeps the ranking of strips. A few strips that are
    all answered rightly would ask for certainty, so truth counts as if there were a strip more of each kind.
    Sources: Guo et al., "On Calibration of Modern Neural Networks", 2017; Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999.
    """
    soft = _soften(truth)
    losses = [_cross_entropy(logits / temperature, soft) for temperature in _TEMPERATURES]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    return Calibration(
        temperature=temperature,
        strips=len(logits),
        cross_entropy_before=_cross_entropy(logits, truth),
        cross_entropy_after=_cross_entropy(logits / temperature, truth),
    )


def choose_temperature(
    logits: Logits, truth: npt.NDArray[np.bool_], parts: npt.NDArray[np.int64]
) -> Calibration:
    """Find a temperature for a calibrated model on other strips; 1 if another one does not pay.

    It pays if temperatures fitted on the other parts lower the cross-entropy on a part.

    Args:
        logits: float64 ``[strips, classes]``.
        truth: of the same shape.
        parts: int64 ``[strips]``: number of the part of each strip.
    """
    flags = truth.astype(np.float64)
    fitted = fit_temperature(logits, flags)
    cooled = logits.copy()
    for part in np.unique(parts):
        others = parts != part
        cooled[~others] /= fit_temperature(logits[others], flags[others]).temperature
    if _cross_entropy(cooled, flags) < fitted.cross_entropy_before:
        return fitted
    return fitted.model_copy(update={"temperature": 1.0, "cross_entropy_after": fitted.cross_entropy_before})


def log_odds(probability: npt.NDArray[np.float64]) -> Logits:
    """Return the logits of probabilities; those of 0 and 1 are finite."""
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _soften(truth: Logits) -> Logits:
    holds = truth.sum(axis=0)
    high, low = (holds + 1) / (holds + 2), 1 / (len(truth) - holds + 2)
    return np.asarray(np.where(truth > 0, high, low))


def review_bands(probability: Logits, truth: npt.NDArray[np.bool_]) -> ReviewBands:
    """Return for each class the probabilities that decide nothing.

    Of the strips below the first, at most 2 % hold the class. From the second on, however far one looks, at
    least half do (a step of isotonic regression). Where no strip lies between, both are the second.

    Args:
        probability: float64 ``[strips, classes]``, of strips that did not train the model.
        truth: bool ``[strips, classes]``.
    """
    return tuple(
        _review_band(probability[:, index], truth[:, index]) for index in range(probability.shape[1])
    )


def _review_band(probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> ReviewBand:
    order = np.argsort(probability, kind="stable")
    steps, holds = [*probability[order].tolist(), 1.0], truth[order].astype(np.float64)
    numbers = np.arange(1, len(holds) + 1)
    below = np.flatnonzero(np.cumsum(holds) / numbers <= _MISSED)
    high = next(
        (at for at in range(len(holds)) if (np.cumsum(holds[at:]) / numbers[: len(holds) - at]).min() >= 0.5),
        len(holds),
    )
    low = int(below[-1]) + 1 if len(below) else 0
    return steps[min(low, high)], steps[high]


def expected_calibration_error(
    probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], bins: int = 10
) -> float:
    """Return the mean gap between probability and frequency over bins of equal width, weighted by size.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    number = np.clip((probability * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(float(truth[number == one].mean()) - float(probability[number == one].mean()))
        * float((number == one).mean())
        for one in range(bins)
        if (number == one).any()
    ]
    return float(sum(gaps))


def _cross_entropy(logits: Logits, truth: Logits) -> float:
    return float(np.mean(np.logaddexp(0, logits) - truth * logits))
