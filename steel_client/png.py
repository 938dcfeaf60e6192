"""Decoder of grey PNGs of 8 or 16 bits, for ``mask_format=png``; the library brings no imaging package.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)".
"""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from steel_client.errors import MaskError

Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Bytes = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = ">IIBBBBB"
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


def decode_grey(data: bytes, *, height: int, width: int) -> Grey:
    """Decode a PNG, uint8 or uint16 ``[height, width]``.

    Raises:
        MaskError: if it is not a grey one of 8 or 16 bits, not interlaced, of this size.
    """
    try:
        header, packed = _read_chunks(data)
        if header not in [(width, height, bits, 0, 0, 0, 0) for bits in (8, 16)]:
            raise MaskError(f"expected a grey PNG of {width}x{height} pixels, got the header {header}")
        depth = header[2] // 8
        rows = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(height, 1 + width * depth)
    except (struct.error, ValueError, zlib.error) as error:
        raise MaskError(f"expected a grey PNG of {width}x{height} pixels: {error}") from error
    # Filters look at the same byte of the neighbours, so each byte of the pixels is an image of its own.
    planes = [_unfilter_rows(rows[:, 0], rows[:, 1 + byte :: depth]) for byte in range(depth)]
    if depth == 1:
        return planes[0]
    return np.stack(planes, axis=-1).view(">u2")[..., 0].astype(np.uint16)


def _unfilter_rows(kinds: _Bytes, rows: _Bytes) -> _Bytes:
    above = np.zeros(rows.shape[1], dtype=np.uint8)
    pixels = np.empty(rows.shape, dtype=np.uint8)
    for number, row in enumerate(rows):
        above = pixels[number] = _unfilter(int(kinds[number]), row, above)
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


def _unfilter(kind: int, row: _Bytes, above: _Bytes) -> _Bytes:
    if kind == _NONE:
        return row
    if kind == _SUB:
        return np.cumsum(row, dtype=np.uint8)
    if kind == _UP:
        return row + above
    if kind == _AVERAGE:
        return _unfilter_average(row, above)
    if kind == _PAETH:
        return _unfilter_paeth(row, above)
    raise MaskError(f"expected a PNG with filters 0 to 4, got {kind}")


def _unfilter_average(row: _Bytes, above: _Bytes) -> _Bytes:
    left, values = 0, []
    for value, up in zip(row.tolist(), above.tolist(), strict=True):
        left = (value + (left + up) // 2) & 0xFF
        values.append(left)
    return np.array(values, dtype=np.uint8)


def _unfilter_paeth(row: _Bytes, above: _Bytes) -> _Bytes:
    """Undo Paeth's filter, pixel by pixel only where something changes.

    Where the pixel above equals the one before it, the left pixel is the estimate; a mask has few others.
    """
    corners = np.concatenate([np.zeros(1, dtype=np.uint8), above[:-1]])
    places = np.flatnonzero((row != 0) | (above != corners))
    if not places.size:
        return np.zeros_like(row)
    left, values = 0, []
    parts = (array[places].tolist() for array in (row, above, corners))
    for value, up, corner in zip(*parts, strict=True):
        left = (value + _paeth(left, up, corner)) & 0xFF
        values.append(left)
    lengths = np.diff(places, append=row.size)
    return np.concatenate([np.zeros(places[0], np.uint8), np.repeat(np.array(values, np.uint8), lengths)])


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))
