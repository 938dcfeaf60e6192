"""Judge by a model's limits whether a strip shows steel as the model knows it."""

import math
from typing import Literal, NamedTuple

import numpy as np

from service.geometry import Strip
from service.images.health import HealthMeasures, measure_health
from service.model.metadata import HealthLimits

Fault = Literal["black", "dark", "bright", "flat", "saturated", "blank", "blurred", "noisy", "unlike"]

# Measure, what it is, fault below its limits, fault above them; the first fault is named.
_CHECKS: tuple[tuple[str, str, Fault | None, Fault | None], ...] = (
    ("black", "share of black columns", None, "black"),
    ("brightness", "brightness", "dark", "bright"),
    ("saturated", "share of saturated pixels", None, "saturated"),
    ("contrast", "contrast", "flat", None),
    ("sharpness", "sharpness", "blurred", "noisy"),
    ("noise", "share of noise", None, "noisy"),
    ("blank", "share of pixels equal to their neighbours", None, "blank"),
    ("novelty", "distance from the training strips", None, "unlike"),
)
_WORDS: dict[Fault, str] = {
    "black": "no steel in the picture",
    "dark": "too dark",
    "bright": "too bright",
    "saturated": "overexposed",
    "flat": "no contrast",
    "blurred": "out of focus, or one line again and again",
    "noisy": "noise",
    "blank": "part of the picture is empty",
    "unlike": "unlike the strips that trained the model",
}

_OFFSETS = HealthMeasures(0.05, 1.0, 1.0, 0.02, 0.02, 0.1, 0.001)
"""Added to the measures before their logarithms, so that 0 is near small values, not infinitely far."""


class Health(NamedTuple):
    """Measures of a strip, and the fault that keeps it from being inspected."""

    measures: HealthMeasures
    novelty: float
    """Distance from the training strips; see ``novelty_of``."""
    fault: Fault | None
    reason: str | None
    """The fault in words: which measure, and its limit."""


def check_health(strip: Strip, limits: HealthLimits) -> Health:
    """Measure a strip, uint8 ``[256, 1600]``, and compare it with a model's limits."""
    measures = measure_health(strip)
    novelty = novelty_of(measures, limits)
    values = {**measures._asdict(), "novelty": novelty}
    for name, what, below, above in _CHECKS:
        least, most = getattr(limits, name)
        value = values[name]
        if below is not None and value < least:
            reason = f"{_WORDS[below]}: {what} {value:.3g}, expected at least {least:.3g}"
            return Health(measures, novelty, below, reason)
        if above is not None and value > most:
            reason = f"{_WORDS[above]}: {what} {value:.3g}, expected at most {most:.3g}"
            return Health(measures, novelty, above, reason)
    return Health(measures, novelty, None, None)


def novelty_of(measures: HealthMeasures, limits: HealthLimits) -> float:
    """Return Mahalanobis' distance of a strip from the training strips; about 1 on a typical one.

    It is taken in the logarithms of the measures, and divided by the root of their number.
    """
    away = np.subtract(to_logarithms(measures), limits.typical)
    return math.sqrt(float(away @ np.array(limits.inverse_covariance) @ away) / len(away))


def to_logarithms(measures: HealthMeasures) -> list[float]:
    """Return the logarithms in which distances are taken; small offsets keep them finite."""
    return [math.log(value + offset) for value, offset in zip(measures, _OFFSETS, strict=True)]
