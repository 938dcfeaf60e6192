"""One strip's way from a file to its answer: decode, infer, postprocess."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.geometry import Strip
from service.images.decode import decode
from service.masks.formats import MaskFormat, maps_png, png, write
from service.masks.regions import Instance, instances
from service.model.metadata import OperatingPoint
from service.model.postprocess import ClassMask, segment
from service.model.session import Probabilities
from service.observability.stopwatch import Spent, Stopwatch


@dataclass(frozen=True, slots=True)
class Output:
    """What is wanted besides the masks themselves."""

    mask_format: MaskFormat = "none"
    instances: bool = False
    """Whether to list connected defects."""
    maps: bool = False
    """Whether to give the probabilities that the masks were made of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of an image."""

    point: OperatingPoint
    output: Output


@dataclass(frozen=True, slots=True)
class Job:
    """An image file and what is wanted of it."""

    data: bytes
    wanted: Wanted
    queued: float = field(default_factory=time.perf_counter)
    """When it joined the queue."""


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
    codes: Sequence[dict[str, Any]]
    """Per class the fields of the answer that hold its mask, as the job's format wants it."""
    png: str | None
    """The masks of all classes, if the format is png; see ``mask_formats.png``."""
    maps: str | None
    """Probability maps, see ``mask_formats.maps_png``; None if they were not asked for."""
    instances: Sequence[Instance] | None
    """None if they were not asked for."""
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
    classes = segment(probabilities.classes, probabilities.masks, job.wanted.point)
    output = job.wanted.output
    codes = [write(found.mask, output.mask_format) for found in classes]
    picture = png([found.mask for found in classes]) if output.mask_format == "png" else None
    maps = maps_png(probabilities.masks) if output.maps else None
    defects = _instances(classes, probabilities) if output.instances else None
    timing = Timing(decoded.spent, queue, inference, watch.read())
    return Prediction(decoded.strip, decoded.sha256, classes, codes, picture, maps, defects, timing)


def _instances(classes: Sequence[ClassMask], probabilities: Probabilities) -> list[Instance]:
    return [
        one
        for found, pixels in zip(classes, probabilities.masks, strict=True)
        if found.mask is not None
        for one in instances(found.class_id, found.mask, pixels)
    ]
