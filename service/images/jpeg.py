"""Decode JPEGs with libjpeg-turbo, and refuse files that it would misread.

Markers: ITU-R T.81, annex B.
"""

from typing import NamedTuple

import numpy as np
import simplejpeg

from service.errors import InvalidImageError, wrong_pixels
from service.geometry import Strip

START = b"\xff\xd8"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_COLOURS = ("Gray", "YCbCr", "RGB")
_MAX_SCANS = 64
"""A progressive JPEG has about 10; each costs a pass over the whole image, however short it is."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame, SOF0 to SOF15; the others there are tables."""


def decode_luma(jpeg: bytes, colours: str) -> Strip:
    """Decode the luma channel without Pillow's copies; refuse corrupt data, which Pillow fills up.

    Args:
        jpeg: a whole file.
        colours: colour space by its header, as simplejpeg names it.

    Raises:
        InvalidImageError: if it has other colours, other bits or too many scans.
        ValueError: if it is corrupt.
    """
    if colours not in _COLOURS:
        raise wrong_pixels("JPEG", colours)
    scans = check_scans(jpeg)
    frame = _frame(jpeg)
    if frame.bits != 8:
        raise wrong_pixels("JPEG", f"{frame.bits} bits")  # the decoder takes fewer, and does not scale them
    try:
        return _decode(jpeg)
    except ValueError as error:
        # A file without its end marker may be complete. If its only scan holds all components, the decoder
        # reports missing pixels.
        only_scan = frame.sequential and scans == 1 and jpeg[jpeg.find(_SCAN) + 4] == frame.components
        if "Premature end of JPEG file" in str(error) and only_scan:
            return _decode(jpeg + _END)
        raise


def _decode(jpeg: bytes) -> Strip:
    strip: Strip = simplejpeg.decode_jpeg(jpeg, colorspace="GRAY")[:, :, 0]
    return strip


def check_scans(jpeg: bytes) -> int:
    """Count the scans.

    Raises:
        InvalidImageError: if there are too many.
    """
    scans = count_scans(jpeg)
    if scans > _MAX_SCANS:
        raise InvalidImageError(f"expected a JPEG of at most {_MAX_SCANS} scans, got more")
    return scans


def count_scans(jpeg: bytes) -> int:
    """Count start-of-scan markers, FF DA, in half the time of ``bytes.count``."""
    octets = np.frombuffer(jpeg, dtype=np.uint8)
    return int(np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == 0xDA)))


class _Frame(NamedTuple):
    bits: int
    """Of a sample."""
    components: int
    sequential: bool
    """Whether it is not progressive, lossless or hierarchical."""


def _frame(jpeg: bytes) -> _Frame:
    """Read the header of the first frame; all zeros if the segments do not lead there."""
    at = 2
    while at + 9 < len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _FRAMES:
            return _Frame(jpeg[at + 4], jpeg[at + 9], marker in (0xC0, 0xC1))
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return _Frame(0, 0, False)
