"""Bit depths of images, and the array types of images and masks."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

BitDepth = Literal["8", "10", "12", "14", "16"]
"""Bits that a camera uses of a 16-bit pixel, as settings and parameters write them."""

BIT_DEPTHS: tuple[BitDepth, ...] = get_args(BitDepth)
"""All of them, in order."""

Strip = npt.NDArray[np.uint8]
"""One grey strip, tile or frame, uint8 ``[height, width]``."""
Mask = npt.NDArray[np.bool_]
"""One mask, row-major as images are: bool ``[height, width]``."""
ColumnMask = npt.NDArray[np.bool_]
"""One mask, column-major: bool ``[width, height]``. Runs of Kaggle's code are contiguous memory in it."""


def parse_bits(text: str) -> BitDepth:
    """Return a bit depth as it was written.

    Raises:
        ValueError: if it is none.
    """
    for bits in BIT_DEPTHS:
        if text == bits:
            return bits
    raise ValueError(f"expected {', '.join(BIT_DEPTHS[:-1])} or {BIT_DEPTHS[-1]}, got {text!r}")
