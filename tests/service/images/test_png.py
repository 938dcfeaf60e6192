"""Pixel data of a PNG."""

import struct
import zlib

import pytest

from service.errors import InvalidImageError
from tests.support.images import read


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3)])
def test_a_png_has_to_hold_every_row(interlaced: bool, colour: int, channels: int) -> None:
    """Pillow paints rows that are missing black."""
    passes = [
        (0, 8, 0, 8),
        (4, 8, 0, 8),
        (0, 4, 4, 8),
        (2, 4, 0, 4),
        (0, 2, 2, 4),
        (1, 2, 0, 2),
        (0, 1, 1, 2),
    ]
    size = 0
    for left, across, top, down in passes if interlaced else [(0, 1, 0, 1)]:
        columns = len(range(left, 1600, across))
        size += len(range(top, 256, down)) * (1 + channels * columns)
    header = struct.pack(">IIBBBBB", 1600, 256, 8, colour, 0, 0, int(interlaced))

    def file(data: bytes) -> bytes:
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )

    assert not read(file(bytes(size))).any()
    with pytest.raises(InvalidImageError, match="ends before its last row"):
        read(file(bytes(size - 1 - 1600 * channels)))
    with pytest.raises(InvalidImageError, match="truncated"):
        read(file(bytes(size - 1)))
