"""Decoder of 8-bit grey PNGs, which ``mask_format=png`` carries; the library brings no imaging package.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)".
"""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from steel_client.errors import MaskError

Grey = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = ">IIBBBBB"
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


def decode_grey(data: bytes, *, height: int, width: int) -> Grey:
    """Decode a PNG, uint8 ``[height, width]``.

    Raises:
        MaskError: if it is not a grey one of 8 bits, not interlaced, of this size.
    """
    try:
        header, packed = _read_chunks(data)
        if header != (width, height, 8, 0, 0, 0, 0):
            raise MaskError(f"expected a grey PNG of {width}x{height} pixels, got the header {header}")
        rows = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(height, width + 1)
    except (struct.error, ValueError, zlib.error) as error:
        raise MaskError(f"expected a grey PNG of {width}x{height} pixels: {error}") from error
    above = np.zeros(width, dtype=np.uint8)
    pixels = np.empty((height, width), dtype=np.uint8)
    for number, row in enumerate(rows):
        above = pixels[number] = _unfilter(int(row[0]), row[1:], above)
    return pixels


def _read_chunks(data: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return the fields of the header, and the compressed pixels."""
    if not data.startswith(_SIGNATURE):
        raise ValueError(f"it begins with {data[:8].hex(' ')}")
    header: tuple[int, ...] = ()
    packed = b""
    at = len(_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            header = struct.unpack(_HEADER, content)
        elif kind == b"IDAT":
            packed += content
        at += 12 + length
    return header, packed


def _unfilter(kind: int, row: Grey, above: Grey) -> Grey:
    if kind == _NONE:
        return row
    if kind == _SUB:
        return np.cumsum(row, dtype=np.uint8)
    if kind == _UP:
        return row + above
    predict = {_AVERAGE: lambda left, up, _: (left + up) // 2, _PAETH: _paeth}.get(kind)
    if predict is None:
        raise MaskError(f"expected a PNG with filters 0 to 4, got {kind}")
    left = corner = 0
    values = []
    for value, up in zip(row.tolist(), above.tolist(), strict=True):
        left = (value + predict(left, up, corner)) & 0xFF
        corner = up
        values.append(left)
    return np.array(values, dtype=np.uint8)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))
