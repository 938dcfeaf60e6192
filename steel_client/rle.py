"""Decoder of Kaggle's run-length code.

Pixels are numbered from 1, top to bottom, then left to right. A code is ``"start length start length ..."``,
sorted, without overlaps; the empty string is the empty mask.
Source: the "Evaluation" page of Kaggle's "Severstal: Steel Defect Detection".
"""

import numpy as np
import numpy.typing as npt

from steel_client.errors import MaskError

Mask = npt.NDArray[np.bool_]


def decode(code: str, *, height: int, width: int) -> Mask:
    """Decode a mask, bool ``[height, width]``, row by row.

    Raises:
        MaskError: if the code is not one of a mask of this size.
    """
    try:
        numbers = np.array([int(word) for word in code.split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise MaskError(f"expected a run-length code of whole numbers: {error}") from error
    if numbers.size % 2:
        raise MaskError(f"expected pairs of start and length, got {numbers.size} numbers")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = starts + lengths
    size = height * width
    if numbers.size and not (
        starts[0] >= 0 and ends[-1] <= size and (lengths > 0).all() and (starts[1:] >= ends[:-1]).all()
    ):
        raise MaskError(f"expected sorted runs without overlaps within 1..{size}, got {code[:80]!r}")
    pixels = np.zeros(size, dtype=np.bool_)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        pixels[start:end] = True
    return np.ascontiguousarray(pixels.reshape(width, height).T)
