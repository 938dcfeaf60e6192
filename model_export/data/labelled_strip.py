"""The interface of a labelled strip."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.geometry import Strip

Masks = npt.NDArray[np.bool_]
"""bool ``[classes, height, width]``: one mask per class, row-major like the image."""

CLEAN = -1
"""Where strips are sorted by class: those without any."""


class LabelledStrip(Protocol):
    """An image of any size and its true masks, read only when ``load`` is called."""

    @property
    def name(self) -> str:
        """File name."""
        ...

    @property
    def classes(self) -> frozenset[int]:
        """Positions, from 0, of the classes on the strip; known without opening the image."""
        ...

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[height, width]``, and its masks, bool ``[classes, height, width]``."""
        ...
