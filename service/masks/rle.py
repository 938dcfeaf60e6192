"""Kaggle's run-length code for masks.

Pixels are numbered from 1, top to bottom, then left to right (column-major); a mask is written
as ``"start length start length ..."``, sorted, without overlaps; an empty mask is the empty string.
Source: the "Evaluation" page of Kaggle's "Severstal: Steel Defect Detection".

Masks are column-major, ``[width, height]``, so that this order is contiguous memory.
"""

import numpy as np

from service.geometry import ColumnMask


class RleError(ValueError):
    """The string is not a run-length code of a mask of this size."""


def encode(mask: ColumnMask | None) -> str:
    """Encode a mask; None, no mask, gives the empty string."""
    if mask is None:
        return ""
    pixels = np.ascontiguousarray(mask, dtype=np.bool_).reshape(-1)
    if pixels.size == 0:
        return ""
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges = [changes]
    if pixels[0]:
        edges.insert(0, np.zeros(1, dtype=changes.dtype))
    if pixels[-1]:
        edges.append(np.full(1, pixels.size, dtype=changes.dtype))
    runs = np.concatenate(edges)
    runs[1::2] -= runs[::2]
    runs[::2] += 1
    return " ".join(map(str, runs.tolist()))


def decode(rle: str, *, height: int, width: int) -> ColumnMask:
    """Decode a run-length code into a column-major mask, bool ``[width, height]``.

    Raises:
        RleError: if a word is not a number, the count of numbers is odd, or a run is empty, overlaps the one
            before it or leaves the image.
    """
    try:
        numbers = np.array([int(word) for word in rle.split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise RleError(f"expected a run-length code of whole numbers only: {error}") from error
    if numbers.size % 2:
        raise RleError(f"expected pairs of start and length, got {numbers.size} numbers")
    starts = numbers[::2] - 1
    lengths = numbers[1::2]
    ends = starts + lengths
    if (lengths < 1).any():
        raise RleError(f"expected runs at least 1 pixel long, got {int(lengths.min())}")
    if (starts[1:] < ends[:-1]).any():
        raise RleError("expected runs that are sorted and do not overlap")
    if numbers.size and (starts[0] < 0 or ends[-1] > height * width):
        raise RleError(
            f"expected runs of a {width}x{height} image within 1..{height * width}, "
            f"got {int(starts[0]) + 1}..{int(ends[-1])}"
        )
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).reshape(-1), [height * width]])
    inside = np.arange(edges.size - 1) % 2 == 1
    return np.repeat(inside, np.diff(edges)).reshape(width, height)
