"""Pictures of validation strips for TensorBoard: image, truth and prediction, one below another."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.data.labelled_strip import Masks
from service.geometry import Strip
from service.masks.palette import COLOURS

_GAP = 4
"""White rows between the parts."""


class Example(NamedTuple):
    """A strip that the network was validated on."""

    name: str
    image: Strip
    truth: Masks
    """bool ``[classes, height, width]``."""
    probability: npt.NDArray[np.float32]
    """float32 ``[classes, height, width]``, of every pixel."""


def draw_example(example: Example) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 ``[3 * height + 8, width, 3]``.

    A prediction shows through in the share of its probability, so no threshold decides what is seen. Colours
    are those of the service, by the position of the class.
    """
    grey = np.repeat(example.image[..., None].astype(np.float32), 3, axis=2)
    parts = [grey, _tint(grey, example.truth.astype(np.float32)), _tint(grey, example.probability)]
    gap = np.full((_GAP, grey.shape[1], 3), 255, dtype=np.float32)
    rows = np.concatenate([parts[0], gap, parts[1], gap, parts[2]])
    return rows.round().clip(0, 255).astype(np.uint8)


def _tint(grey: npt.NDArray[np.float32], shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    tinted = grey
    for share, colour in zip(shares, COLOURS, strict=False):
        own = 0.6 * share[..., None]
        tinted = (1 - own) * tinted + own * np.array(colour, dtype=np.float32)
    return tinted
