"""One strip's way from a file to its answer: decode, infer, postprocess."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from service import rle
from service.metadata import OperatingPoint, Strip
from service.postprocess import ClassMask, segment
from service.preprocess import decode
from service.session import Probabilities
from service.stopwatch import Spent, Stopwatch


@dataclass(frozen=True, slots=True)
class Job:
    """An image file and what is wanted of it."""

    data: bytes
    point: OperatingPoint
    encode: bool
    """Whether to write run-length codes."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one strip spent in each stage."""

    decode: Spent
    queue: Spent
    inference: Spent
    """Seconds of the whole batch; of its processor seconds, this strip's share."""
    postprocess: Spent


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    strip: Strip
    sha256: str
    """Of the bytes that came."""
    classes: Sequence[ClassMask]
    rles: Sequence[str]
    """Kaggle's run-length code per class; empty if it was not asked for or there is no mask."""
    timing: Timing


@dataclass(frozen=True, slots=True)
class Decoded:
    """A job's file, read."""

    strip: Strip
    sha256: str
    spent: Spent


def read(job: Job, max_pixels: int) -> Decoded:
    """Decode a job's file.

    Raises:
        ServiceError: of the kinds of ``preprocess.decode``.
    """
    watch = Stopwatch()
    strip = decode(job.data, max_pixels=max_pixels)
    return Decoded(strip, hashlib.sha256(job.data).hexdigest(), watch.read())


def finish(
    job: Job, decoded: Decoded, probabilities: Probabilities, queue: Spent, inference: Spent
) -> Prediction:
    """Turn probabilities into masks and codes."""
    watch = Stopwatch()
    classes = segment(probabilities.classes, probabilities.masks, job.point)
    rles = [rle.encode(found.mask) if job.encode and found.mask is not None else "" for found in classes]
    timing = Timing(decoded.spent, queue, inference, watch.read())
    return Prediction(decoded.strip, decoded.sha256, classes, rles, timing)
