"""The identity of a strip: its pixels, whatever its file is called."""

import hashlib
from collections.abc import Sequence

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import DrawnStrip
from service.geometry import Strip


def strip_digest(strip: Strip) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of the pixels of a strip, uint8 ``[height, width]``."""
    return hashlib.sha256(strip.tobytes()).hexdigest()[:32]


def digest_strips(strips: Sequence[LabelledStrip]) -> dict[str, str]:
    """Return the digest of every photographed strip, by name; drawn strips are left out."""
    return {
        strip.name: strip_digest(strip.load()[0]) for strip in strips if not isinstance(strip, DrawnStrip)
    }
