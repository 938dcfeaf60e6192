"""Check PNGs for damage that Pillow ignores: it paints missing rows black and skips checksums of pixels.

Source: PNG specification, third edition (W3C).
"""

import struct
import zlib
from collections.abc import Iterator

from service.errors import InvalidImageError

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type; section 11.2.1."""
_PALETTE = 3
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps between them, of each pass of an interlaced image; section 8.1."""
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_MAX_CHUNKS = 10_000
"""Pillow reads each with some 50 lines of Python. 4 MB of pixels in chunks of 1 KB are 4,000."""


def read_png_size(png: bytes) -> tuple[int, int]:
    """Return width and height by the header.

    Raises:
        struct.error: if the file ends before.
    """
    width, height = struct.unpack_from(">II", png, 16)
    return width, height


def check_chunks(png: bytes) -> None:
    """Check, before anything is decoded, that there are not too many chunks, colour profiles or pictures.

    Raises:
        InvalidImageError: if there are.
    """
    at, chunks, profiles, kind = 8, 0, 0, b""
    while at + 8 <= len(png) and kind != b"IEND":  # what is behind is not read
        length, kind = struct.unpack_from(">I4s", png, at)
        at += 12 + length
        chunks += 1
        profiles += kind == b"iCCP"  # Pillow decompresses each
        if kind == b"fdAT":  # of an animation; Pillow may show it in place of the picture
            raise InvalidImageError("expected exactly 1 frame, got a PNG with several")
        if chunks > _MAX_CHUNKS or profiles > 1:
            raise InvalidImageError(
                f"expected a PNG of at most {_MAX_CHUNKS} chunks and 1 colour profile, got more"
            )


def check_png(png: bytes) -> None:
    """Check the critical chunks, their checksums, the palette and the pixel data; IEND may be missing.

    Args:
        png: a file that has been decoded, so that its header is known to announce a sensible size.

    Raises:
        InvalidImageError: if the file is damaged or ends before its last pixel.
        zlib.error, struct.error, KeyError: if it is damaged in other ways.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", png[16:29])
    pixels: list[bytes] = []
    palette = 0
    for kind, data in _critical_chunks(png):
        if kind not in _CRITICAL:
            raise InvalidImageError(f"the PNG has a critical chunk of an unknown type, {kind!r}")
        if kind == b"IDAT":
            pixels.append(data)
        elif kind == b"PLTE":
            palette = len(data) // 3
    if colour == _PALETTE and palette == 0:
        raise InvalidImageError("the PNG has pixels of palette colours and no palette")
    size = 0
    for left, top, across, down in _ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    _check_pixels(b"".join(pixels), size)


def _critical_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and data of each whole critical chunk.

    Raises:
        InvalidImageError: if its checksum is wrong.
    """
    at, kind = 8, b""
    while at + 12 <= len(png) and kind != b"IEND":
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        end = at + 8 + length
        if not kind[0] & 0x20 and end + 4 <= len(png):  # an upper case letter: section 5.4
            if zlib.crc32(png[at + 4 : end]) != int.from_bytes(png[end : end + 4]):
                raise InvalidImageError(f"the PNG is damaged: the checksum of a chunk {kind!r} is wrong")
            yield kind, png[at + 8 : end]
        at = end + 4


def _check_pixels(compressed: bytes, size: int) -> None:
    """Check that the pixel data has so many bytes, or more, and its own checksum."""
    decompressor = zlib.decompressobj()
    if len(decompressor.decompress(compressed, size)) < size:
        raise InvalidImageError("the PNG ends before its last row")
    more = decompressor.decompress(decompressor.unconsumed_tail, 1)
    if not more and not decompressor.eof:
        raise InvalidImageError("the PNG is damaged: its pixel data ends before its checksum")
