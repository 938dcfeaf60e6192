"""Damaged PNGs are refused; Pillow alone reads most of them."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidImageError, ServiceError
from tests.support.images import png, read
from tests.support.tiny_model import block_strip

STRIP = block_strip(c1=(10, 5, 30, 40), c3=(900, 50, 60, 7))
FILE = png(STRIP)
MAGIC = b"\x89PNG\r\n\x1a\n"
PIXELS = zlib.compress(b"".join(b"\0" + row.tobytes() for row in STRIP))


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def header(colour: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", 1600, 256, 8, colour, 0, 0, 0))


END = chunk(b"IEND", b"")
GREY = tuple(value for number in range(256) for value in (number,) * 3)


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


def test_a_whole_png_is_read() -> None:
    for file in (
        header(0) + chunk(b"IDAT", PIXELS) + END,
        header(0) + chunk(b"IDAT", PIXELS),  # whole but for its end
        header(0) + chunk(b"IDAT", PIXELS[:100]) + chunk(b"IDAT", PIXELS[100:]) + END + b"more behind it",
        header(3) + chunk(b"PLTE", bytes(GREY)) + chunk(b"IDAT", PIXELS) + END,
    ):
        np.testing.assert_array_equal(read(MAGIC + file), STRIP)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (header(0) + chunk(b"IDAT", PIXELS, 1) + END, "the checksum of a chunk b'IDAT' is wrong"),
        (header(0) + chunk(b"IDAT", PIXELS[:-4]) + END, "ends before its checksum"),
        (header(0) + chunk(b"IDAT", PIXELS[:-4] + bytes(4)) + END, "broken data stream"),
        (header(0) + chunk(b"ABCD", b"x") + chunk(b"IDAT", PIXELS) + END, "an unknown type, b'ABCD'"),
        (header(3) + chunk(b"IDAT", PIXELS) + END, "no palette"),
        (header(3) + chunk(b"PLTE", b"") + chunk(b"IDAT", PIXELS) + END, "no palette"),
    ],
)
def test_a_damaged_png_is_refused(file: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason):
        read(MAGIC + file)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"abCd", b"") * 300_000,
        chunk(b"IDAT", b"") * 300_000,
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000))) * 2,  # each is decompressed
    ],
)
def test_very_many_chunks_are_refused_unread(extra: bytes) -> None:
    with pytest.raises(InvalidImageError, match="at most 10000 chunks and 1 colour profile"):
        read(MAGIC + header(0) + extra + chunk(b"IDAT", PIXELS) + END)


@pytest.mark.parametrize("frames", [0, 1, 2, 2**31 + 1])
def test_a_second_picture_is_refused_whatever_their_number_says(frames: int) -> None:
    """Pillow showed it in place of the first."""
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 1600, 256, 0, 0, 1, 1, 0, 0))
    other = chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(bytes(1601 * 256)))
    number = chunk(b"acTL", struct.pack(">II", frames, 0))
    with pytest.raises(InvalidImageError, match="expected exactly 1 frame, got a PNG with several"):
        read(MAGIC + header(0) + number + chunk(b"IDAT", PIXELS) + control + other + END)


def test_pixels_in_many_chunks_are_read() -> None:
    pieces = b"".join(chunk(b"IDAT", PIXELS[at : at + 1]) for at in range(len(PIXELS)))
    np.testing.assert_array_equal(read(MAGIC + header(0) + pieces + END), STRIP)


def test_a_header_that_cannot_be_read_is_told_in_words() -> None:
    with pytest.raises(InvalidImageError, match=r"^the PNG cannot be decoded: its header cannot be read$"):
        read(MAGIC + b"nothing")


@given(st.integers(0, 8 * len(FILE) - 1))
def test_a_flipped_bit_is_noticed_or_changes_nothing(bit: int) -> None:
    flipped = bytearray(FILE)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        strip = read(bytes(flipped))
    except ServiceError:
        return
    np.testing.assert_array_equal(strip, STRIP)


def test_bytes_behind_the_end_are_passed_over() -> None:
    """Copies that were allocated first end in zeros; as chunks they would be very many."""
    strip = block_strip(c1=(3, 4, 5, 6))
    np.testing.assert_array_equal(read(png(strip) + bytes(1_000_000)), strip)
