"""Decode JPEGs with libjpeg-turbo, and refuse files that it would misread.

Markers: ITU-R T.81, annex B.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import simplejpeg

from service.errors import InvalidImageError, wrong_pixels
from service.geometry import Strip

_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_COLOURS = ("Gray", "YCbCr", "RGB")
_MAX_SCANS = 64
"""A progressive JPEG has about 10; each costs a pass over the whole image, however short it is."""
_MAX_SEGMENTS = 1000
"""In front of the pixels. A colour profile has up to 255, and 4 MB of other metadata some 60."""
_MAX_JUNK_BYTES = 65_536
"""Between two segments; Pillow passes over them one by one."""
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame, SOF0 to SOF15; the others there are tables."""
_TABLES = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD}
"""Markers of what the pixels depend on."""
_METADATA = frozenset(range(0xE1, 0xF0)) - {0xEE} | {0xFE}
"""Markers of applications and comments; APP0 and APP14 tell the colour space."""
_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
"""Markers that nothing belongs to."""


class Frame(NamedTuple):
    """What the first frame of a JPEG says; zeros if there is none."""

    bits: int
    """Of a sample."""
    components: int
    sequential: bool
    """Whether it is not progressive, lossless or hierarchical."""
    scans: int
    """In the whole file."""


class _Segment(NamedTuple):
    marker: int
    begin: int
    """Of the marker, behind fill bytes and what else lies in front of it."""
    end: int


def decode_luma(jpeg: bytes, colours: str) -> Strip:
    """Decode the luma channel without Pillow's copies; refuse corrupt data, which Pillow fills up.

    Args:
        jpeg: a whole file.
        colours: colour space by its header, as simplejpeg names it.

    Raises:
        InvalidImageError: if it has other colours or other bits, or too many segments or scans.
        ValueError: if it is corrupt.
    """
    if colours not in _COLOURS:
        raise wrong_pixels("JPEG", colours)
    frame = read_frame(jpeg)
    if frame.bits != 8:
        raise wrong_pixels("JPEG", f"{frame.bits} bits")  # the decoder takes fewer, and does not scale them
    try:
        return _decode(jpeg)
    except ValueError as error:
        # A file without its end marker may be complete. If its only scan holds all components, the decoder
        # reports missing pixels.
        only_scan = frame.sequential and frame.scans == 1
        if (
            "Premature end of JPEG file" in str(error)
            and only_scan
            and jpeg[jpeg.find(_SCAN) + 4] == frame.components
        ):
            return _decode(jpeg + _END)
        raise


def _decode(jpeg: bytes) -> Strip:
    strip: Strip = simplejpeg.decode_jpeg(jpeg, colorspace="GRAY")[:, :, 0]
    return strip


def read_frame(jpeg: bytes) -> Frame:
    """Read the header of the first frame, and count the scans.

    Raises:
        InvalidImageError: if there are too many segments or scans, or too many bytes between segments; what
            decoding costs is bounded by them.
    """
    scans = _count_scans(jpeg)
    if scans > _MAX_SCANS:
        raise InvalidImageError(f"expected a JPEG of at most {_MAX_SCANS} scans, got more")
    for marker, begin, _ in _segments(jpeg):
        if marker in _FRAMES and begin + 9 < len(jpeg):
            return Frame(jpeg[begin + 4], jpeg[begin + 9], marker in (0xC0, 0xC1), scans)
    return Frame(0, 0, False, scans)


def read_jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height by the header of the first frame.

    Raises:
        InvalidImageError: if there is none, or too much in front of it.
    """
    for marker, begin, _ in _segments(jpeg):
        if marker in _FRAMES and begin + 9 < len(jpeg):
            height, width = jpeg[begin + 5 : begin + 7], jpeg[begin + 7 : begin + 9]
            return int.from_bytes(width), int.from_bytes(height)
    raise InvalidImageError("the JPEG has no frame")


def without_extras(jpeg: bytes) -> bytes:
    """Leave out of the header what viewers pass over, and libjpeg-turbo's interface calls corrupt.

    That is metadata, further start markers, and bytes between segments: but only in front of the tables,
    behind which such bytes may be the rest of a damaged one.

    Raises:
        InvalidImageError: if there are too many segments.
    """
    kept = [_START]
    at, tables = len(_START), False
    for marker, begin, end in _segments(jpeg):
        if tables:
            kept.append(jpeg[at:begin])
        if marker not in _METADATA and (tables or marker != _START[1]):
            kept.append(jpeg[begin:end])
        at, tables = end, tables or marker in _TABLES
    return b"".join((*kept, jpeg[at:]))


def _segments(jpeg: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the first scan's header, as far as they can be followed.

    Raises:
        InvalidImageError: if there are too many, or too many bytes between them.
    """
    at = len(_START)
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(jpeg, at)
        if found is None:
            return
        if found.start() - at > _MAX_JUNK_BYTES:
            raise InvalidImageError("the JPEG is damaged: no segment follows where one has to")
        marker = jpeg[found.start() + 1]
        at = found.end() + (0 if marker in _ALONE else int.from_bytes(jpeg[found.end() : found.end() + 2]))
        yield _Segment(marker, found.start(), at)
        if marker in (_SCAN[1], _END[1]):
            return
    raise InvalidImageError(
        f"expected a JPEG of at most {_MAX_SEGMENTS} segments before its pixels, got more"
    )


def _count_scans(jpeg: bytes) -> int:
    """Count start-of-scan markers, FF DA, in half the time of ``bytes.count``."""
    octets = np.frombuffer(jpeg, dtype=np.uint8)
    return int(np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == 0xDA)))
