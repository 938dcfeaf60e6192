"""The stages from an image file to its prediction: decode, infer, postprocess.

A strip has the size of a tile and is inferred as it is. A frame is larger and is inferred tile by tile; a
smaller image is padded to a tile, where the options say so.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt

from service.errors import (
    InferenceError,
    InvalidImageError,
    PayloadTooLargeError,
    ServiceError,
    counted,
    unexpected,
)
from service.geometry import Strip
from service.images.decode import Size, decode
from service.masks.formats import CODECS, MaskFormat, maps_png, png
from service.masks.regions import Instance, instances
from service.model.health import FrameHealth, Health, check_frame_health, check_health
from service.model.metadata import HealthLimits, ModelMetadata, OperatingPoint
from service.model.postprocess import (
    ClassMask,
    TileAnswer,
    apply_operating_point,
    apply_to_frame,
    tile_answer,
)
from service.model.session import Probabilities, Session
from service.model.tiles import TilePlan, cut_tiles, mirror, plan_tiles
from service.model.verdict import Review, Verdict, judge, not_inspected

P = ParamSpec("P")
T = TypeVar("T")

_MAX_MAP_PIXELS = 64_000_000
"""Most pixels in the maps of one image, all classes together; each takes a byte, several times."""


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
    pad: bool = False
    """Whether an image smaller than a tile is padded by mirroring, or refused."""


@dataclass(frozen=True, slots=True)
class ImageRules:
    """What an image has to be to get to the model."""

    max_pixels: int
    """Largest image, by its header."""
    health: HealthLimits | None
    """Limits of a strip that shows steel; None inspects every strip."""
    tile: Size
    """Size of the model's input."""
    classes: int
    """Number of the model's classes."""

    @classmethod
    def of(cls, metadata: ModelMetadata, *, max_pixels: int, check_health: bool) -> Self:
        """Return the rules for images of a model."""
        return cls(
            max_pixels,
            metadata.health if check_health else None,
            Size(metadata.width, metadata.height),
            len(metadata.classes),
        )

    def plan(self, size: Size) -> TilePlan:
        """Return the tiles of an image, padded to one tile at least."""
        height, width = max(size.height, self.tile.height), max(size.width, self.tile.width)
        return plan_tiles(height, width, self.tile.height, self.tile.width)

    def places(self, size: Size | None) -> int:
        """Return the places in the queue of an image: its tiles, or 1 if ``decode`` will refuse it.

        Args:
            size: by the image's header; None if that cannot be read.
        """
        if size is None or size.width * size.height > self.max_pixels:
            return 1
        return self.plan(size).count


@dataclass(frozen=True, slots=True)
class Job:
    """An image file to predict."""

    data: bytes
    options: PredictOptions
    places: int | None = None
    """Places in the queue that were taken for its tiles; None where no queue is."""
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
    """Duration of each stage of one strip or frame."""

    decode: Elapsed
    queue: Elapsed
    """Until the first tile is inferred."""
    inference: Elapsed
    """Seconds of the whole batch, or from a frame's first to its last; of its processor seconds, the share of
    the strip or frame."""
    postprocess: Elapsed


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    strip: Strip
    """The grey pixels of the image, uint8 ``[height, width]``; not padded."""
    sha256: str
    """Of the file's bytes."""
    verdict: Verdict
    health: Health | None
    """None where health is not checked; of a frame, see ``FrameHealth.shown``."""
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
    tiles: int = 1
    """Tiles of the image."""

    @property
    def inspected(self) -> bool:
        """Whether the model has seen the image, and all of it unless it found a defect."""
        return self.verdict.name != "not_inspected"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A job's file as a strip or a frame."""

    strip: Strip
    """As in the file."""
    padded: Strip
    """Not smaller than a tile; ``strip`` itself unless that is smaller."""
    plan: TilePlan
    """Of ``padded``."""
    sha256: str
    health: Health | FrameHealth | None
    """Of a frame of several tiles, that of each."""
    elapsed: Elapsed

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height of ``strip``: the shape of its masks."""
        height, width = self.strip.shape
        return width, height

    @property
    def tiles(self) -> dict[int, Strip]:
        """The tiles that the model is to see, by their number; none if the image does not show steel."""
        tiles = dict(enumerate(cut_tiles(self.padded, self.plan)))
        if self.health is None:
            return tiles
        if isinstance(self.health, Health):
            return tiles if self.health.fault is None else {}
        if self.health.whole:
            return {}
        left_out = self.health.empty.union(self.health.faults)
        return {number: tile for number, tile in tiles.items() if number not in left_out}

    @property
    def shown_health(self) -> Health | None:
        """The measures to show."""
        return self.health.shown if isinstance(self.health, FrameHealth) else self.health


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a frame to infer."""

    strip: Strip
    point: OperatingPoint
    """Of the frame; decides what of the answer is kept."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """The model's probabilities of a strip, and their duration."""

    probabilities: Probabilities
    started: float
    """Time on the clock of ``time.perf_counter`` at which its batch began to run."""
    elapsed: Elapsed
    """Seconds of the whole batch; of its processor seconds, this strip's share."""


@dataclass(frozen=True, slots=True)
class InferredTile:
    """The model's answer for a tile of a frame, and its duration."""

    answer: TileAnswer
    started: float
    """Time on the clock of ``time.perf_counter`` at which its batch began to run."""
    elapsed: Elapsed
    """Seconds of the whole batch; of its processor seconds, this tile's share."""


def decode_job(job: Job, rules: ImageRules) -> Decoded:
    """Decode a job's file and check the health of the strip, or of each tile of the frame.

    Raises:
        PayloadTooLargeError: if the options ask for maps, and they are too large; or as
            ``images.decode.decode`` does.
        ServiceError: as ``images.decode.decode`` does, and if the image has more tiles than its header says.
    """
    watch = Stopwatch()
    options = job.options
    least = None if options.pad else rules.tile
    strip = decode(job.data, max_pixels=rules.max_pixels, bits=options.bits, least=least)
    if options.maps and strip.size * rules.classes > _MAX_MAP_PIXELS:
        raise PayloadTooLargeError(
            f"expected an image of at most {_MAX_MAP_PIXELS // rules.classes} pixels for maps, the model's "
            f"classes being {rules.classes}, got {strip.size}"
        )
    plan = rules.plan(Size(strip.shape[1], strip.shape[0]))
    if job.places is not None and plan.count != job.places:
        raise InvalidImageError(
            f"expected {counted(job.places, 'tile')} by the image's header, got {plan.count} in its pixels"
        )
    padded = mirror(strip, rules.tile.height, rules.tile.width)
    health = None if rules.health is None else _check_health(padded, plan, rules.health)
    return Decoded(strip, padded, plan, hashlib.sha256(job.data).hexdigest(), health, watch.read())


def _check_health(padded: Strip, plan: TilePlan, limits: HealthLimits) -> Health | FrameHealth:
    if plan.count == 1:
        return check_health(padded, limits)
    return check_frame_health(padded, plan, limits)


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


def infer_tiles(session: Session, tiles: Sequence[Tile]) -> list[InferredTile]:
    """Run the model on a batch of tiles and measure it; blocking.

    Raises:
        InferenceError: as ``infer`` does.
    """
    return [
        keep_tile(tile, one)
        for tile, one in zip(tiles, infer(session, [tile.strip for tile in tiles]), strict=True)
    ]


def keep_tile(tile: Tile, inferred: Inferred) -> InferredTile:
    """Keep of a tile's probabilities what can count in its frame, and let the others go."""
    answer = tile_answer(*inferred.probabilities, tile.point)
    return InferredTile(answer, inferred.started, inferred.elapsed)


def finish_job(job: Job, decoded: Decoded, inferred: Inferred, queue: Elapsed, review: Review) -> Prediction:
    """Turn the probabilities of a strip into a verdict, masks and their codes."""
    watch = Stopwatch()
    options, masks = job.options, inferred.probabilities.masks
    if decoded.padded is not decoded.strip:
        width, height = decoded.shape
        masks = np.ascontiguousarray(masks[:, :width, :height])
    classes = apply_operating_point(inferred.probabilities.classes, masks, options.point, review.class_ids)
    codec = CODECS.get(options.mask_format)
    shape = decoded.shape
    return Prediction(
        decoded.strip,
        decoded.sha256,
        judge(classes, review, options.point),
        decoded.shown_health,
        classes,
        codes=[{} if codec is None else {codec.field: codec.encode(found.mask, shape)} for found in classes],
        png=png([found.mask for found in classes], shape) if options.mask_format == "png" else None,
        maps=maps_png(masks) if options.maps else None,
        instances=_instances(classes, masks) if options.instances else None,
        timing=Timing(decoded.elapsed, queue, inferred.elapsed, watch.read()),
    )


def finish_frame(
    job: Job, decoded: Decoded, inferred: Mapping[int, InferredTile], queued: float, review: Review
) -> Prediction:
    """Join the tiles of a frame into a verdict, masks and their codes.

    Args:
        job: of the frame.
        decoded: the frame.
        inferred: the tiles that were inspected, by their number; at least one.
        queued: time on the clock of ``time.perf_counter`` at which the tiles joined the queue.
        review: of the model's answers.
    """
    watch = Stopwatch()
    options, shape = job.options, decoded.shape
    tiles = [inferred[number].answer if number in inferred else None for number in range(decoded.plan.count)]
    codec = CODECS.get(options.mask_format)
    classes: list[ClassMask] = []
    codes: list[dict[str, Any]] = []
    listed: list[Instance] = []
    maps = np.zeros((len(review.class_ids), *shape), dtype=np.uint8) if options.maps else None
    found_maps = apply_to_frame(decoded.plan, tiles, shape, options.point, review.class_ids)
    for position, (found, pixels) in enumerate(found_maps):
        classes.append(found)
        codes.append({} if codec is None else {codec.field: codec.encode(found.mask, shape)})
        if options.instances and found.mask is not None:
            listed += instances(found.class_id, found.mask, pixels)
        if maps is not None:
            maps[position] = pixels
    verdict = _judge_frame(classes, decoded, review, options.point)
    inspected = verdict.name != "not_inspected"
    began = min(one.started for one in inferred.values())
    ended = max(one.started + one.elapsed.seconds for one in inferred.values())
    busy = sum(one.elapsed.cpu_seconds for one in inferred.values())
    return Prediction(
        decoded.strip,
        decoded.sha256,
        verdict,
        decoded.shown_health,
        classes if inspected else (),
        codes=codes if inspected else (),
        png=png([found.mask for found in classes], shape)
        if inspected and options.mask_format == "png"
        else None,
        maps=None if maps is None or not inspected else maps_png(maps),
        instances=listed if inspected and options.instances else None,
        timing=Timing(
            decoded.elapsed, Elapsed(began - queued, 0.0), Elapsed(ended - began, busy), watch.read()
        ),
        tiles=decoded.plan.count,
    )


def _judge_frame(
    classes: Sequence[ClassMask], decoded: Decoded, review: Review, point: OperatingPoint
) -> Verdict:
    """Judge a frame; one with a tile that was not inspected is never ok."""
    verdict = judge(classes, review, point)
    faults = decoded.health.faults if isinstance(decoded.health, FrameHealth) else {}
    if not faults:
        return verdict
    number, health = next(iter(faults.items()))
    top, left = decoded.plan.positions[number]
    share = f"{len(faults)} of {decoded.plan.count} tiles"
    missing = f"{share} not inspected, the first at {left}, {top}: {health.reason}"
    if any(found.present for found in classes):
        return Verdict(verdict.name, f"{verdict.reason}; {missing}")
    return not_inspected(f"{missing}; elsewhere {verdict.reason}")


def refuse_job(decoded: Decoded) -> Prediction:
    """Return the answer for an image that does not show steel; the model does not see it."""
    nothing = Elapsed(0.0, 0.0)
    health = decoded.shown_health
    return Prediction(
        decoded.strip,
        decoded.sha256,
        not_inspected((health and health.reason) or ""),
        health,
        classes=(),
        codes=(),
        png=None,
        maps=None,
        instances=None,
        timing=Timing(decoded.elapsed, nothing, nothing, nothing),
        tiles=decoded.plan.count,
    )


def _instances(classes: Sequence[ClassMask], masks: npt.NDArray[np.uint8]) -> list[Instance]:
    return [
        one
        for found, pixels in zip(classes, masks, strict=True)
        if found.mask is not None
        for one in instances(found.class_id, found.mask, pixels)
    ]


def run_jobs(session: Session, jobs: Sequence[Job], rules: ImageRules) -> list[Prediction | ServiceError]:
    """Run jobs through all stages on this thread, each to its prediction or its own error; blocking.

    Strips are inferred together, frames one after the other.
    """
    started = time.perf_counter()
    review = Review.by(session.metadata)
    decoded = [_or_error(decode_job, job, rules) for job in jobs]
    tiles = [{} if isinstance(one, ServiceError) else one.tiles for one in decoded]
    strips = [
        tile
        for one, parts in zip(decoded, tiles, strict=True)
        if isinstance(one, Decoded) and one.plan.count == 1
        for tile in parts.values()
    ]
    inferred = iter(infer(session, strips) if strips else [])
    results: list[Prediction | ServiceError] = []
    for job, one, parts in zip(jobs, decoded, tiles, strict=True):
        if isinstance(one, ServiceError):
            results.append(one)
        elif not parts:
            results.append(refuse_job(one))
        elif one.plan.count > 1:
            results.append(_or_error(_run_frame, session, job, one, parts, review))
        else:
            queue = Elapsed(started - job.queued, 0.0)
            results.append(_or_error(finish_job, job, one, next(inferred), queue, review))
    return results


def _run_frame(
    session: Session, job: Job, decoded: Decoded, tiles: Mapping[int, Strip], review: Review
) -> Prediction:
    queued = time.perf_counter()
    parts = infer_tiles(session, [Tile(tile, job.options.point) for tile in tiles.values()])
    return finish_frame(job, decoded, dict(zip(tiles, parts, strict=True)), queued, review)


def run_batch(
    session: Session, batch: Sequence[Job | Tile], rules: ImageRules
) -> list[Prediction | InferredTile | ServiceError]:
    """Run whole jobs and tiles of frames on this thread, each to its answer or its own error; blocking."""
    jobs = [one for one in batch if isinstance(one, Job)]
    tiles = [one for one in batch if isinstance(one, Tile)]
    predictions = iter(run_jobs(session, jobs, rules) if jobs else [])
    answers = iter(infer_tiles(session, tiles) if tiles else [])
    return [next(predictions) if isinstance(one, Job) else next(answers) for one in batch]


def infer_mixed(session: Session, batch: Sequence[Strip | Tile]) -> list[Inferred | InferredTile]:
    """Run the model on a batch of strips and tiles of frames and measure it; blocking.

    Raises:
        InferenceError: as ``infer`` does.
    """
    inferred = infer(session, [one.strip if isinstance(one, Tile) else one for one in batch])
    return [
        keep_tile(one, answer) if isinstance(one, Tile) else answer
        for one, answer in zip(batch, inferred, strict=True)
    ]


def _or_error(stage: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ServiceError:
    try:
        return stage(*args, **kwargs)
    except ServiceError as error:
        return error
    except Exception as error:
        return unexpected(error)
