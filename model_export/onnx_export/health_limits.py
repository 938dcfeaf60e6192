"""Learn from training strips how strips look that a model can inspect."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile, cut_frame
from service.images.health import HealthMeasures, measure_health
from service.model.health import novelty_of, to_logarithms
from service.model.metadata import HealthLimits

_MARGINS = {
    # Least and most: a factor on the extreme strip, and one on the median strip; the looser limit counts.
    # The second keeps twenty strips of one coil from making a limit of that coil.
    "brightness": ((1 / 1.1, 1 / 5), (1.1, 2.0)),
    "contrast": ((1 / 3, 1 / 6), (2.0, 5.0)),
    "sharpness": ((1 / 2, 1 / 3), (1.5, 2.5)),
}
_SHARES = {
    # Most: a factor on the extreme strip, and the least that a limit may be.
    "saturated": (1.15, 0.25),
    "blank": (1.25, 0.3),
    "noise": (1.3, 0.45),
}
_LEAST_STEEL = (1 / 2, 0.025)
"""A factor on the share of steel on the strip that has least, and the most that a limit may be."""
_NOVELTY = (1.5, 4.0)
"""As for shares."""
_SHRINKAGE = 0.02
"""Variance added to each logarithm, and more of it for few strips: a measure that never varied must not make
every other strip new."""


def learn_health_limits(strips: Sequence[LabelledStrip], tile: Tile) -> HealthLimits:
    """Measure tiles of training strips and return limits with margins, so that such tiles are inspected.

    Of larger strips, tiles without any steel are left out: the service does not judge steel by them.
    """
    measures = [
        measured
        for strip in tqdm(strips, "measuring health", unit="strip", dynamic_ncols=True)
        for measured in _measure(strip, tile)
    ]
    logarithms = np.array([to_logarithms(one) for one in measures])
    spread = np.cov(logarithms.T) if len(measures) > 1 else np.zeros((len(logarithms.T),) * 2)
    inverse = np.linalg.inv(spread + (_SHRINKAGE + 1 / len(measures)) * np.eye(len(spread)))
    columns = {name: np.array([getattr(one, name) for one in measures]) for name in HealthMeasures._fields}
    limits = HealthLimits(
        strips=len(strips),
        black=(0.0, 1 - min(_LEAST_STEEL[0] * (1 - float(columns["black"].max())), _LEAST_STEEL[1])),
        novelty=(0.0, 0.0),
        typical=tuple(logarithms.mean(axis=0).tolist()),
        inverse_covariance=tuple(tuple(row) for row in inverse.tolist()),
        **{name: _range(columns[name], *margins) for name, margins in _MARGINS.items()},
        **{name: (0.0, _most(columns[name], margin)) for name, margin in _SHARES.items()},
    )
    novelty = np.array([novelty_of(one, limits) for one in measures])
    return limits.model_copy(update={"novelty": (0.0, _most(novelty, _NOVELTY))})


def _measure(strip: LabelledStrip, tile: Tile) -> list[HealthMeasures]:
    frame = cut_frame(strip.load()[0], tile, strip.name)
    measures = [measure_health(one) for one in frame.tiles]
    return [one for one in measures if one.black < 1] or measures[:1]


def _range(
    values: npt.NDArray[np.float64], least: tuple[float, float], most: tuple[float, float]
) -> tuple[float, float]:
    median = float(np.median(values))
    return (
        min(least[0] * float(values.min()), least[1] * median),
        max(most[0] * float(values.max()), most[1] * median),
    )


def _most(values: npt.NDArray[np.float64], margin: tuple[float, float]) -> float:
    factor, least = margin
    return max(factor * float(values.max()), least)
