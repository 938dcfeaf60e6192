"""Judge by a model's limits whether a strip, or each tile of a frame, shows steel as the model knows it."""

import math
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import numpy as np

from service.geometry import Strip
from service.images.health import HealthMeasures, measure_black, measure_health
from service.model.metadata import HealthLimits
from service.model.tiles import TilePlan, cut_tiles

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
    """Measure a strip or a tile, uint8 ``[height, width]``, and compare it with a model's limits."""
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


class FrameHealth(NamedTuple):
    """Health of a frame of several tiles."""

    shown: Health
    """Of the frame as a whole if it has a fault as such, or else of the tile that is most unlike the training
    strips, one with a fault before all others."""
    faults: dict[int, Health]
    """Of the tiles that are not inspected, by their number."""
    empty: frozenset[int]
    """Tiles without any steel at the frame's border, of which there is nothing to inspect."""

    @property
    def whole(self) -> bool:
        """Whether the fault is one of the frame as a whole."""
        return self.shown.fault is not None and not self.faults


def check_frame_health(frame: Strip, plan: TilePlan, limits: HealthLimits) -> FrameHealth:
    """Compare each tile of a frame with a model's limits.

    Black borders are normal, as they are on a strip: a tile that shows too little steel has no fault if it
    lies between the frame's border and steel. It is inspected unless it shows none at all. The frame as a
    whole may not show less steel than a strip.

    Args:
        frame: uint8 ``[height, width]``.
        plan: of its tiles.
        limits: of the model.
    """
    tiles = [check_health(tile, limits) for tile in cut_tiles(frame, plan)]
    black = [tile.fault == "black" for tile in tiles]
    share = measure_black(frame)
    if all(black) or share > limits.black[1]:
        darkest = max(tiles, key=lambda tile: tile.measures.black)
        reason = (
            f"{_WORDS['black']}: share of black columns {share:.3g}, expected at most {limits.black[1]:.3g}"
        )
        return FrameHealth(Health(darkest.measures, darkest.novelty, "black", reason), {}, frozenset())
    border = _border(black, plan)
    faults = {
        number: tile for number, tile in enumerate(tiles) if tile.fault is not None and number not in border
    }
    empty = frozenset(number for number in border if tiles[number].measures.black >= 1)
    shown = max(
        faults.values() or [tile for tile, is_black in zip(tiles, black, strict=True) if not is_black],
        key=lambda tile: tile.novelty,
    )
    return FrameHealth(shown, faults, empty)


def _border(black: Sequence[bool], plan: TilePlan) -> Collection[int]:
    """Return the black tiles from which a row or a column of black tiles leads to the frame's border."""
    grid = np.array(black).reshape(len(plan.tops), len(plan.lefts))
    reached = np.zeros_like(grid)
    for axis in (0, 1):
        reached |= np.logical_and.accumulate(grid, axis=axis)
        reached |= np.flip(np.logical_and.accumulate(np.flip(grid, axis), axis=axis), axis)
    return set(np.flatnonzero(reached).tolist())


def novelty_of(measures: HealthMeasures, limits: HealthLimits) -> float:
    """Return Mahalanobis' distance of a strip from the training strips; about 1 on a typical one.

    It is taken in the logarithms of the measures, and divided by the root of their number.
    """
    away = np.subtract(to_logarithms(measures), limits.typical)
    return math.sqrt(float(away @ np.array(limits.inverse_covariance) @ away) / len(away))


def to_logarithms(measures: HealthMeasures) -> list[float]:
    """Return the logarithms in which distances are taken; small offsets keep them finite."""
    return [math.log(value + offset) for value, offset in zip(measures, _OFFSETS, strict=True)]
