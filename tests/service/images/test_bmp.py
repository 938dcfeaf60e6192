"""BMPs whose pixels are run-length codes; Pillow fills what a damaged one leaves out."""

import struct

import numpy as np
import pytest

from service.errors import InvalidImageError
from service.geometry import Strip
from tests.support.images import read

END_OF_LINE, END = b"\0\0", b"\0\1"
ROWS = 256


def bmp(codes: bytes, bits: int = 8) -> bytes:
    palette = b"".join(
        bytes([value, value, value, 0]) for value in np.linspace(0, 255, 2**bits, dtype=np.uint8)
    )
    at = 54 + len(palette)
    size = struct.pack("<IHHI", at + len(codes), 0, 0, at)
    header = struct.pack(
        "<IiiHHIIiiII", 40, 1600, 256, 1, bits, 1 if bits == 8 else 2, len(codes), 0, 0, 2**bits, 0
    )
    return b"BM" + size + header + palette + codes


def runs(value: int) -> bytes:
    """A row of one value."""
    return bytes([250, value]) * 6 + bytes([100, value])


def expected() -> Strip:
    return np.repeat(np.arange(ROWS, dtype=np.uint8), 1600).reshape(ROWS, 1600)[::-1]


def test_a_whole_code_is_read() -> None:
    rows = [runs(value) + END_OF_LINE for value in range(ROWS)]
    written_out = b"\0\x05\x01\x01\x01\x01\x01\0" + bytes([245, 1]) + runs(1)[2:] + END_OF_LINE
    for codes in (
        b"".join(rows) + END,
        b"".join(rows)[:-2] + END,
        b"".join(rows),  # whole but for its end
        rows[0] + written_out + b"".join(rows[2:]) + END,
    ):
        np.testing.assert_array_equal(read(bmp(codes)), expected())


def test_a_whole_code_of_four_bits_is_read() -> None:
    row = b"\0\x05\x0f\x0f\x00\0" + bytes([245, 0xF0]) + bytes([250, 0x0F]) * 5 + bytes([100, 0x0F])
    strip = read(bmp((row + END_OF_LINE) * ROWS + END, bits=4))
    assert strip[0, :8].tolist() == [0, 255, 0, 255, 0, 255, 0, 255]


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (b"", "ends before its last row"),
        ((runs(1) + END_OF_LINE) * 255 + END, "row 255 has 0 of 1600 pixels"),
        ((runs(1) + END_OF_LINE) * 255 + runs(1)[:-2], "ends before its last row"),
        ((runs(1) + END_OF_LINE) * 255 + runs(1)[:-2] + b"\0\x64" + bytes(99), "ends before its last row"),
        (runs(1)[2:] + END_OF_LINE + (runs(1) + END_OF_LINE) * 255 + END, "row 0 has 1350 of 1600 pixels"),
        (runs(1)[2:] + bytes([251, 1]) + END_OF_LINE, "row 0 has more than 1600 pixels"),
        (runs(1) + runs(1) + END_OF_LINE, "row 0 has more than 1600 pixels"),
        (b"\0\2\x05\0", "row 0 has 0 of 1600 pixels"),  # leaves pixels out
        (b"\0\2\0\0" * 1_000_000, "row 0 has 0 of 1600 pixels"),
    ],
)
def test_a_code_that_leaves_pixels_out_is_refused(codes: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason):
        read(bmp(codes))
