"""Decoders of the mask formats besides Kaggle's run-length code; each gives bool ``[height, width]``."""

import base64
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from steel_client import png
from steel_client.errors import MaskError
from steel_client.rle import Mask

Ring = Sequence[tuple[int, int]]


def decode_coco(counts: str | Sequence[int], *, height: int, width: int) -> Mask:
    """Decode COCO's runs, down the columns, the first of background; compressed if they are a string.

    Raises:
        MaskError: if the code is not one of a mask of this size.
    """
    runs = _decompress(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise MaskError(f"expected runs of {height * width} pixels, got {str(counts)[:80]!r}")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(pixels.reshape(width, height).T)


def _decompress(counts: str) -> list[int]:
    """Read runs as ``rleFrString`` in ``maskApi.c`` of pycocotools: 5 bits a character, the lowest first."""
    runs: list[int] = []
    value = shift = 0
    for char in counts.encode():
        bits = char - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << shift
        # From the fourth run on, the difference from the run before the last one is stored.
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def decode_polygons(polygons: Sequence[Sequence[Ring]], *, height: int, width: int) -> Mask:
    """Fill GeoJSON polygons whose rings follow the edges of pixels.

    A pixel belongs to the mask if the number of vertical edges to its left is odd, so holes stay empty.

    Raises:
        MaskError: if a ring leaves the image or the edges of pixels.
    """
    edges = np.zeros((height, width + 1), dtype=np.bool_)
    for ring in (ring for polygon in polygons for ring in polygon):
        for (x, y), (next_x, next_y) in pairwise(ring):
            if not (0 <= x <= width and 0 <= y <= height and (x == next_x or y == next_y)):
                raise MaskError(f"expected rings along the edges of {width}x{height} pixels, got {(x, y)}")
            if x == next_x:
                edges[min(y, next_y) : max(y, next_y), x] ^= True
    return np.ascontiguousarray(np.logical_xor.accumulate(edges, axis=1)[:, :width])


class ClassBits:
    """Masks of all classes as the bits of a PNG's pixels, decoded once.

    Args:
        text: the PNG in base64, grey, of 8 or 16 bits.
        height: of the image, in pixels.
        width: of the image.
    """

    def __init__(self, text: str, *, height: int, width: int) -> None:
        self._text = text
        self._height, self._width = height, width

    def mask(self, position: int) -> Mask:
        """Return the mask of a class by its position in the model's list.

        Raises:
            MaskError: if the text is not such a PNG of this size, or its pixels have no bit for the class.
        """
        bits = 8 * self._pixels.itemsize
        if not 0 <= position < bits:
            raise MaskError(f"expected at most {bits} classes in a PNG of {bits} bits, got one more")
        mask: Mask = (self._pixels >> position) & 1 == 1
        return mask

    @cached_property
    def _pixels(self) -> png.Grey:
        try:
            data = base64.b64decode(self._text, validate=True)
        except ValueError as error:
            raise MaskError(f"expected a PNG in base64: {error}") from error
        return png.decode_grey(data, height=self._height, width=self._width)
