"""Refuse TIFFs that Pillow would read for seconds, or whose numbers it would misread.

Structure and tags: TIFF 6.0, sections 2, 8, 15 and 19.
"""

import struct
from collections.abc import Iterator
from typing import Literal

from PIL import Image

from service.errors import InvalidImageError, wrong_pixels

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_WIDTH, _HEIGHT = 256, 257
_SHORT, _LONG = 3, 4
_MAX_PIECES = 10_000
"""Strips or tiles. A row each is 256 for a strip, a tile of 16x16 each 1600, times the planes."""


def check_pieces(tiff: bytes) -> None:
    """Check, before the file is opened, that it does not have very many strips or tiles.

    Raises:
        InvalidImageError: if it does, or its directory is not whole.
    """
    for tag, _, count, _ in _tags(tiff):
        if tag in (_STRIP_OFFSETS, _TILE_OFFSETS) and count > _MAX_PIECES:
            raise InvalidImageError(f"expected a TIFF of at most {_MAX_PIECES} strips or tiles, got {count}")


def read_tiff_size(tiff: bytes) -> tuple[int, int]:
    """Return width and height by the first directory.

    Raises:
        InvalidImageError: if it does not have them, or is not whole.
    """
    order = _order(tiff)
    # A short number stands in the first two bytes of the value, whatever the order of the bytes.
    found = {
        tag: int.from_bytes(value[:2] if kind == _SHORT else value, order)
        for tag, kind, count, value in _tags(tiff)
        if tag in (_WIDTH, _HEIGHT) and kind in (_SHORT, _LONG) and count == 1
    }
    if len(found) < 2:
        raise InvalidImageError("the TIFF does not say its size")
    return found[_WIDTH], found[_HEIGHT]


def _order(tiff: bytes) -> Literal["little", "big"]:
    return "little" if tiff.startswith(b"II") else "big"


def _tags(tiff: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield tag, type, count and the four bytes of the value, or of where it is, of the first directory.

    Raises:
        InvalidImageError: if the directory is not whole.
    """
    order = _order(tiff)
    at = int.from_bytes(tiff[4:8], order)
    size = 12 * int.from_bytes(tiff[at : at + 2], order)
    directory = tiff[at + 2 : at + 2 + size]
    if not 0 < size == len(directory):
        raise InvalidImageError("the TIFF cannot be decoded: its directory is not whole")
    yield from struct.iter_unpack("<HHI4s" if order == "little" else ">HHI4s", directory)


def check_tiff(image: Image.Image) -> None:
    """Check the tags of an open file that is not decoded yet.

    Raises:
        InvalidImageError: if Pillow would misread its numbers.
    """
    tags = getattr(image, "tag_v2", {})
    bits = set(tags.get(_BITS_PER_SAMPLE, (1,)))
    if set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}:
        raise wrong_pixels("TIFF", "signed or floating-point numbers")
    sixteen_bits = image.mode.startswith("I;16")
    if max(bits) > 8 and not sixteen_bits:
        raise wrong_pixels("TIFF", f"{max(bits)}-bit {image.mode}")  # low bytes would be cut off
    if sixteen_bits and (set(tags.get(_BITS_PER_SAMPLE, (16,))) != {16} or tags.get(_PHOTOMETRIC, 1) != 1):
        raise InvalidImageError(
            "expected 16-bit grey values with black at 0, got a TIFF with other bits or photometric "
            "interpretation"
        )
