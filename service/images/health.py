"""Measures of a strip that tell a photograph of steel from the frame of a blind camera."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.geometry import Strip

_Signed = npt.NDArray[np.int16]

_ROWS_APART = 32
"""Eight lines of 256 rows; more lines change no measure by a hundredth of its limits' distance."""
_BLACK = 16
"""Columns that are darker on average show no steel: the strip ends there."""
_SATURATED = 250
_FEWEST_COLUMNS = 16


class HealthMeasures(NamedTuple):
    """Measures of one strip; all but ``black`` of the part between its first and last column of steel."""

    black: float
    """Share of columns without steel, 0 to 1."""
    brightness: float
    """Mean grey value, 0 to 255."""
    contrast: float
    """Standard deviation of the grey values."""
    saturated: float
    """Share of pixels at the upper end of the grey scale, 0 to 1."""
    blank: float
    """Share of pixels equal to their neighbours to the right and below, 0 to 1."""
    sharpness: float
    """Mean second difference of grey values, along or across the strip, whichever is less: an unsharp image
    has little, and a line that repeats has none."""
    noise: float
    """Half the squared difference of neighbours as a share of the variance: 1 for white noise, near 0 for
    pixels that belong together (von Neumann's ratio)."""


def measure_black(strip: Strip) -> float:
    """Return the share of columns of a picture, uint8 ``[height, width]``, that show no steel."""
    return 1 - len(_steel_columns(strip[_rows(strip)])) / int(strip.shape[1])


def _rows(strip: Strip) -> npt.NDArray[np.int64]:
    return np.arange(_ROWS_APART // 2, len(strip) - 1, _ROWS_APART)


def _steel_columns(lines: Strip) -> npt.NDArray[np.int64]:
    return np.flatnonzero(lines.mean(axis=0) >= _BLACK)


def measure_health(strip: Strip) -> HealthMeasures:
    """Measure a strip or a tile, uint8 ``[height, width]``, on some of its rows."""
    rows = _rows(strip)
    lines = strip[rows]
    steel = _steel_columns(lines)
    black = 1 - len(steel) / strip.shape[1]
    if len(steel) < _FEWEST_COLUMNS:
        return HealthMeasures(black, float(lines.mean()), 0.0, 0.0, 1.0, 0.0, 0.0)
    part = slice(steel[0], steel[-1] + 1)
    middle, above, below = (strip[rows + step, part].astype(np.int16) for step in (0, -1, 1))
    right = np.diff(middle, axis=1)
    variance = float(middle.var())
    return HealthMeasures(
        black,
        brightness=float(middle.mean()),
        contrast=variance**0.5,
        saturated=float(np.mean(middle >= _SATURATED)),
        blank=float(np.mean((right == 0) & (below == middle)[:, 1:])),
        sharpness=min(_mean_size(np.diff(right, axis=1)), _mean_size(above + below - 2 * middle)),
        noise=float(np.mean(np.square(right, dtype=np.float32))) / (2 * variance) if variance else 0.0,
    )


def _mean_size(differences: _Signed) -> float:
    return float(np.mean(np.abs(differences)))
