"""Grey values by OpenCV's decoders, to compare ours with."""

import cv2
import numpy as np
import numpy.typing as npt

from service.errors import ServiceError
from service.images.decode import decode

Grey = npt.NDArray[np.uint8]
"""``[height, width]``."""

_MAX_PIXELS = 20_000_000


def outcome(data: bytes) -> str:
    """Decode a picture of any size; say whether both decoders agree, or who refuses it.

    Returns:
        "agrees", "differs by N", "differs in size", "both refuse", "OpenCV refuses" or "refused: REASON".
    """
    theirs = by_opencv(data)
    try:
        ours = decode(data, max_pixels=_MAX_PIXELS, bits=16)
    except ServiceError as error:
        return "both refuse" if theirs is None else f"refused: {error}"
    if theirs is None:
        return "OpenCV refuses"
    if ours.shape != theirs.shape:
        return "differs in size"
    difference = int(np.abs(ours.astype(np.int16) - theirs).max())
    return "agrees" if difference <= 1 else f"differs by {difference}"  # 1: rounding


def by_opencv(data: bytes) -> Grey | None:
    """Decode with OpenCV; None if it cannot. Alpha is left out, and colour weighed as ITU-R 601 says."""
    if not data:
        return None
    flags = cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_GRAYSCALE if data.startswith(b"\xff\xd8") else cv2.IMREAD_COLOR  # a JPEG's own luma
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        return None
    if pixels is None:
        return None
    return (pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)).astype(np.uint8)
