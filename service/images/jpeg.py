"""Decode JPEGs with libjpeg-turbo, and check what it does not check.

Markers: ITU-R T.81, annex B.
"""

import numpy as np
import simplejpeg

from service.errors import InvalidImageError, wrong_pixels
from service.geometry import Strip

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
    if count_scans(jpeg) > _MAX_SCANS:
        raise InvalidImageError(f"expected a JPEG of at most {_MAX_SCANS} scans, got more")
    bits = bits_per_sample(jpeg)
    if bits != 8:
        raise wrong_pixels("JPEG", f"{bits} bits")  # the decoder takes fewer, and does not scale them
    strip: Strip = simplejpeg.decode_jpeg(jpeg, colorspace="GRAY")[:, :, 0]
    return strip


def count_scans(jpeg: bytes) -> int:
    """Count start-of-scan markers, FF DA, in half the time of ``bytes.count``."""
    octets = np.frombuffer(jpeg, dtype=np.uint8)
    return int(np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == 0xDA)))


def bits_per_sample(jpeg: bytes) -> int:
    """Read the precision of the first frame; 0 if the segments do not lead there."""
    at = 2
    while at + 4 < len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
        elif marker in _FRAMES:
            return jpeg[at + 4]
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return 0
