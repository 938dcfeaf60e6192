"""The golden strip: a drawn strip with the answer of the file that serves."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_export.data import severstal
from model_export.data.drawn_mill import MillStrip
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import DrawnStrip
from model_export.data.tile import Tile
from model_export.evaluation.calibrate import log_odds
from model_export.evaluation.torch_session import SupportsInfer
from service.masks import rle
from service.model.metadata import ClassFractions, Golden, OperatingPoint, png_base64
from service.model.postprocess import byte_threshold

_NUMBERS = (3, 1, 2, 4, *range(6, 20))

_SURE = 1.0
"""Log-odds by which a class must pass the gate: rounding on another machine must not close it."""


def choose_golden(
    session: SupportsInfer, point: OperatingPoint, gate: ClassFractions | None, tile: Tile, classes: int
) -> Golden:
    """Choose a drawn strip that the file answers with masks, and return it with the answer.

    Models of other steel, or of clean strips only, may see nothing on any of them. Then the strip whose
    answer at the gate is surest is taken; where the gate stays closed, it proves the encoder alone.

    Args:
        session: of the graph as it serves, with its gate.
        point: the first profile, at whose thresholds the service compares masks.
        gate: of the graph.
        tile: of the network.
        classes: number of classes.
    """
    found: list[tuple[float, Golden]] = []
    for candidate in _candidates(tile, classes):
        strip = candidate.load()[0] // 8 * 8  # fewer grey values make a smaller PNG
        probability, masks = session.infer([strip])[0]
        codes = tuple(
            rle.encode(mask >= byte_threshold(threshold))
            for mask, threshold in zip(masks, point.threshold, strict=True)
        )
        golden = Golden(
            strip_png=png_base64(strip), class_probability=tuple(map(float, probability)), rle=codes
        )
        margin = _margin(probability, gate)
        if margin >= _SURE and any(golden.rle):
            return golden
        found.append((margin, golden))
    return max(found, key=lambda pair: abs(pair[0]))[1]


def _candidates(tile: Tile, classes: int) -> Sequence[LabelledStrip]:
    """Return drawn strips of a tile's size."""
    if tile.shape == (severstal.HEIGHT, severstal.WIDTH):
        return [DrawnStrip(seed=7, number=number) for number in _NUMBERS]
    return [MillStrip(7, number, tile.shape, max(classes, 5)) for number in _NUMBERS]


def _margin(classes: npt.NDArray[np.float32], gate: ClassFractions | None) -> float:
    """Return by how many log-odds the surest class passes the gate; negative if none does."""
    if gate is None:
        return np.inf
    return float((log_odds(classes.astype(np.float64)) - log_odds(np.array(gate))).max())
