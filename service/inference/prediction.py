"""The stages from an image file to its prediction: decode, infer, postprocess."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, TypeVar

from service.errors import InferenceError, ServiceError, unexpected
from service.geometry import Strip
from service.images.decode import decode
from service.masks.formats import CODECS, MaskFormat, maps_png, png
from service.masks.regions import Instance, instances
from service.model.health import Health, check_health
from service.model.metadata import HealthLimits, OperatingPoint
from service.model.postprocess import ClassMask, apply_operating_point
from service.model.session import Probabilities, Session
from service.model.verdict import Review, Verdict, judge, not_inspected

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options of the predictions of a request."""

    point: OperatingPoint
    mask_format: MaskFormat = "none"
    instances: bool = False
    """Whether to list connected defects."""
    maps: bool = False
    """Whether to return the probabilities of pixels."""
    bits: int | None = None
    """Of a pixel in 16-bit files; see ``images.decode.decode``."""


@dataclass(frozen=True, slots=True)
class ImageRules:
    """What an image has to be to get to the model."""

    max_pixels: int
    """Largest image, by its header."""
    health: HealthLimits | None
    """Limits of a strip that shows steel; None inspects every strip."""


@dataclass(frozen=True, slots=True)
class Job:
    """An image file to predict."""

    data: bytes
    options: PredictOptions
    queued: float = field(default_factory=time.perf_counter)
    """Time on the clock of ``time.perf_counter`` at which it joined the queue."""


class Elapsed(NamedTuple):
    """Duration of a stage: seconds on the clock, and processor seconds of its thread."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Measures from its construction on; read it on the thread that made it."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self._cpu_started = time.thread_time()

    def read(self) -> Elapsed:
        """Return the elapsed time."""
        return Elapsed(time.perf_counter() - self.started, time.thread_time() - self._cpu_started)


@dataclass(frozen=True, slots=True)
class Timing:
    """Duration of each stage of one strip."""

    decode: Elapsed
    queue: Elapsed
    inference: Elapsed
    """Seconds of the whole batch; of its processor seconds, this strip's share."""
    postprocess: Elapsed


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    strip: Strip
    sha256: str
    """Of the file's bytes."""
    verdict: Verdict
    health: Health | None
    """None where health is not checked."""
    classes: Sequence[ClassMask]
    """Empty if the strip was not inspected."""
    codes: Sequence[dict[str, Any]]
    """For each class, the field of the answer that holds its mask in the format of the options."""
    png: str | None
    """The masks of all classes, if the format is png; see ``masks.formats.png``."""
    maps: str | None
    """Probability maps, see ``masks.formats.maps_png``; None unless the options ask for them."""
    instances: Sequence[Instance] | None
    """None unless the options ask for them."""
    timing: Timing

    @property
    def inspected(self) -> bool:
        """Whether the model has seen the strip."""
        return self.verdict.name != "not_inspected"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A job's file as a strip."""

    strip: Strip
    sha256: str
    health: Health | None
    elapsed: Elapsed

    @property
    def shows_steel(self) -> bool:
        """Whether the model is to see it."""
        return self.health is None or self.health.fault is None


@dataclass(frozen=True, slots=True)
class Inferred:
    """The model's probabilities of a strip, and their duration."""

    probabilities: Probabilities
    started: float
    """Time on the clock of ``time.perf_counter`` at which its batch began to run."""
    elapsed: Elapsed
    """Seconds of the whole batch; of its processor seconds, this strip's share."""


def decode_job(job: Job, rules: ImageRules) -> Decoded:
    """Decode a job's file and check the health of the strip.

    Raises:
        ServiceError: as ``images.decode.decode`` does.
    """
    watch = Stopwatch()
    strip = decode(job.data, max_pixels=rules.max_pixels, bits=job.options.bits)
    health = None if rules.health is None else check_health(strip, rules.health)
    return Decoded(strip, hashlib.sha256(job.data).hexdigest(), health, watch.read())


def infer(session: Session, strips: Sequence[Strip]) -> list[Inferred]:
    """Run the model on a batch of strips and measure it; blocking.

    Raises:
        InferenceError: if the number of outputs differs: they could not be assigned to strips.
    """
    watch = Stopwatch()
    probabilities = session.infer(strips)
    seconds, cpu_seconds = watch.read()
    if len(probabilities) != len(strips):
        raise InferenceError(f"expected {len(strips)} outputs of the model, got {len(probabilities)}")
    elapsed = Elapsed(seconds, cpu_seconds / len(strips))
    return [Inferred(one, watch.started, elapsed) for one in probabilities]


def finish_job(job: Job, decoded: Decoded, inferred: Inferred, queue: Elapsed, review: Review) -> Prediction:
    """Turn probabilities into a verdict, masks and their codes."""
    watch = Stopwatch()
    options, masks = job.options, inferred.probabilities.masks
    classes = apply_operating_point(inferred.probabilities.classes, masks, options.point)
    codec = CODECS.get(options.mask_format)
    return Prediction(
        decoded.strip,
        decoded.sha256,
        judge(classes, review, options.point),
        decoded.health,
        classes,
        codes=[{} if codec is None else {codec.field: codec.encode(found.mask)} for found in classes],
        png=png([found.mask for found in classes]) if options.mask_format == "png" else None,
        maps=maps_png(masks) if options.maps else None,
        instances=_instances(classes, inferred.probabilities) if options.instances else None,
        timing=Timing(decoded.elapsed, queue, inferred.elapsed, watch.read()),
    )


def refuse_job(decoded: Decoded) -> Prediction:
    """Return the answer for a strip that does not show steel; the model does not see it."""
    nothing = Elapsed(0.0, 0.0)
    reason = (decoded.health and decoded.health.reason) or ""
    return Prediction(
        decoded.strip,
        decoded.sha256,
        not_inspected(reason),
        decoded.health,
        classes=(),
        codes=(),
        png=None,
        maps=None,
        instances=None,
        timing=Timing(decoded.elapsed, nothing, nothing, nothing),
    )


def _instances(classes: Sequence[ClassMask], probabilities: Probabilities) -> list[Instance]:
    return [
        one
        for found, pixels in zip(classes, probabilities.masks, strict=True)
        if found.mask is not None
        for one in instances(found.class_id, found.mask, pixels)
    ]


def run_jobs(session: Session, jobs: Sequence[Job], rules: ImageRules) -> list[Prediction | ServiceError]:
    """Run jobs through all stages on this thread, each to its prediction or its own error; blocking."""
    started = time.perf_counter()
    review = Review.by(session.metadata)
    decoded = [_or_error(decode_job, job, rules) for job in jobs]
    strips = [one.strip for one in decoded if isinstance(one, Decoded) and one.shows_steel]
    inferred = iter(infer(session, strips) if strips else [])
    results: list[Prediction | ServiceError] = []
    for job, one in zip(jobs, decoded, strict=True):
        if isinstance(one, ServiceError):
            results.append(one)
        elif not one.shows_steel:
            results.append(refuse_job(one))
        else:
            queue = Elapsed(started - job.queued, 0.0)
            results.append(_or_error(finish_job, job, one, next(inferred), queue, review))
    return results


def _or_error(stage: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ServiceError:
    try:
        return stage(*args, **kwargs)
    except ServiceError as error:
        return error
    except Exception as error:
        return unexpected(error)
