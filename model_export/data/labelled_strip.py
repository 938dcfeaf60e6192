"""The interface of a labelled strip, and the names of its classes."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.geometry import Strip

Masks = npt.NDArray[np.bool_]
"""bool ``[4, 256, 1600]``: one mask per class, row-major like the image."""

CLASS_NAMES = ("pitting", "vertical line", "scratch", "patch")
"""Default names of the classes 1 to 4, by appearance. Severstal did not name them."""


class LabelledStrip(Protocol):
    """A strip and its true masks, read only when ``load`` is called."""

    @property
    def name(self) -> str:
        """File name."""
        ...

    @property
    def classes(self) -> frozenset[int]:
        """Ids, 1..4, of the classes on the strip; known without opening the image."""
        ...

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[256, 1600]``, and its masks."""
        ...
