"""Whether a PNG holds all the pixels that it announces; Pillow paints what is missing black."""

import struct
import zlib

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type. Source: PNG specification, third edition, section 11.2.1."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps between them, of each pass of an interlaced image; section 8.1."""


def is_complete(png: bytes) -> bool:
    """Say whether the pixel data of a PNG is as long as its header says, or longer.

    Args:
        png: a file that has been decoded, so that its header is known to be of a sensible size.

    Raises:
        zlib.error, struct.error, KeyError: if it is no PNG after all.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", png[16:29])
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    wanted = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            wanted += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    return len(zlib.decompressobj().decompress(_pixel_data(png), wanted)) == wanted


def _pixel_data(png: bytes) -> bytes:
    """Join the IDAT chunks."""
    found = []
    at = 8
    while at + 8 <= len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        if name == b"IDAT":
            found.append(png[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(found)
