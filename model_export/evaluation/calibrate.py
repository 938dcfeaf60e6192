"""Calibration of class probabilities: temperature scaling on validation strips."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from service.geometry import CLASS_COUNT
from service.model.metadata import Calibration, ReviewBand, ReviewBands

Logits = npt.NDArray[np.float64]
"""float64 ``[strips, 4]``."""

_MISSED = 0.02
"""Most strips with a class among those that are called free of it."""
_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8), 241))


@torch.inference_mode()
def compute_class_logits(network: nn.Module, strips: Sequence[LabelledStrip]) -> tuple[Logits, Logits]:
    """Run the classifier head on strips; return its logits and the truth as 0 and 1."""
    logits = np.zeros((len(strips), CLASS_COUNT))
    truth = np.zeros((len(strips), CLASS_COUNT))
    for row, strip in enumerate(tqdm(strips, "calibrating", unit="strip", dynamic_ncols=True)):
        image = torch.tensor(strip.load()[0]).float()[None, None]
        logits[row] = network(image)[1][0].double().numpy()
        truth[row, [class_id - 1 for class_id in strip.classes]] = 1
    return logits, truth


def fit_temperature(logits: Logits, truth: Logits) -> Calibration:
    """Find the temperature, one for all classes, with the lowest cross-entropy.

    A single number does not overfit a few strips, and it keeps the ranking of strips.
    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    losses = [_cross_entropy(logits / temperature, truth) for temperature in _TEMPERATURES]
    best = int(np.argmin(losses))
    return Calibration(
        temperature=float(_TEMPERATURES[best]),
        strips=len(logits),
        cross_entropy_before=_cross_entropy(logits, truth),
        cross_entropy_after=losses[best],
    )


def review_bands(probability: Logits, truth: npt.NDArray[np.bool_]) -> ReviewBands:
    """Return for each class the probabilities that decide nothing.

    Of the strips below the first, at most 2 % hold the class. From the second on, however far one looks, at
    least half do (a step of isotonic regression). Where no strip lies between, both are the second.

    Args:
        probability: float64 ``[strips, 4]``, of strips that did not train the model.
        truth: bool ``[strips, 4]``.
    """
    first, second, third, fourth = (
        _review_band(probability[:, index], truth[:, index]) for index in range(CLASS_COUNT)
    )
    return first, second, third, fourth


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
