"""Pipelines bring jobs through their stages.

On a GPU, ``StagedPipeline`` decodes and postprocesses on other threads than the one that infers, so that it
never waits for them. On a CPU, ``DirectPipeline`` runs all stages of a strip on one thread, since handing a
strip from thread to thread only costs; the tiles of a frame run on all of them.

A frame takes a place in the queue for each of its tiles, from the beginning on.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.errors import ServiceError
from service.geometry import Strip
from service.inference.batcher import Batcher
from service.inference.prediction import (
    Decoded,
    Elapsed,
    ImageRules,
    Inferred,
    InferredTile,
    Job,
    Prediction,
    Tile,
    decode_job,
    finish_frame,
    finish_job,
    infer_mixed,
    refuse_job,
    run_batch,
)
from service.model.session import Session
from service.model.verdict import Review

X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Options of the queue of every model."""

    max_queue_size: int
    """Tiles that may wait; a strip is one."""
    batch_timeout: float
    """Seconds that a strip waits for others when the model is busy."""
    max_pixels: int
    """Largest image, by its header."""
    check_health: bool
    """Whether strips beyond the model's limits of health are left uninspected."""
    max_run_seconds: float
    """Longest inference; see ``Batcher``."""
    on_batch: Callable[[int], None]
    on_failure: Callable[[str], None]


class Pipeline(Protocol):
    """Predicts jobs."""

    @property
    def rules(self) -> ImageRules:
        """What images have to be."""
        ...

    @property
    def queue_size(self) -> int:
        """Tiles that count as waiting."""
        ...

    def check_room(self, tiles: int, deadline: float) -> None:
        """Raise QueueFullError unless so many tiles can be taken; see ``Batcher.check_room``."""
        ...

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Queue all jobs or none; see ``Batcher.put_all``. Cancel a future to give up its job."""
        ...


class StagedPipeline:
    """Decodes and postprocesses on threads beside those that infer.

    Args:
        batcher: runs ``infer_mixed``, or ``run_batch``.
        threads: for the other stages.
        rules: of images.
        review: of the model's answers.
    """

    def __init__(
        self,
        batcher: Batcher[Any, Any],
        threads: Executor,
        rules: ImageRules,
        review: Review,
    ) -> None:
        self._batcher = batcher
        self._threads = threads
        self.rules = rules
        self._review = review
        self._decoding = 0
        """Tiles of the images that are being decoded."""

    @property
    def queue_size(self) -> int:
        """Tiles in the queue, and those that are being decoded for it."""
        return self._batcher.queue_size + self._decoding

    def check_room(self, tiles: int, deadline: float) -> None:
        """Raise QueueFullError unless so many tiles can be taken; see ``Batcher.check_room``."""
        self._batcher.check_room(tiles, deadline, upstream=self._decoding)

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Begin to decode; see ``Pipeline``."""
        self.check_room(sum(map(_places, inputs)), deadline)
        return [self._start(job, deadline) for job in inputs]

    def _start(self, job: Job, deadline: float) -> asyncio.Future[Prediction]:
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, decode_job, job, self.rules)
        self._decoding += _places(job)
        return asyncio.ensure_future(self._predict(job, decoding, deadline))

    async def _predict(self, job: Job, decoding: asyncio.Future[Decoded], deadline: float) -> Prediction:
        try:
            # Its places are free when the thread is done, not when the caller gives up.
            decoded = await asyncio.shield(decoding)
        except asyncio.CancelledError:
            decoding.add_done_callback(lambda _: self._release(job, decoding))
            raise
        except BaseException:
            self._release(job, decoding)
            raise
        # From here to the queue without a pause, so that nobody else takes the places.
        self._release(job, decoding)
        tiles = decoded.tiles
        if not tiles:
            return refuse_job(decoded)
        if decoded.plan.count == 1:
            return await self._infer_strip(job, decoded, tiles[0], deadline)
        return await self._infer_frame(job, decoded, tiles, deadline)

    def _release(self, job: Job, decoding: asyncio.Future[Decoded]) -> None:
        self._decoding -= _places(job)
        if not decoding.cancelled():
            decoding.exception()  # retrieved, even if the caller has left

    async def _infer_strip(self, job: Job, decoded: Decoded, strip: Strip, deadline: float) -> Prediction:
        queued = time.perf_counter()
        inferred: Inferred = await self._batcher.put(strip, deadline)
        queue = Elapsed(inferred.started - queued, 0.0)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish_job, job, decoded, inferred, queue, self._review
        )

    async def _infer_frame(
        self, job: Job, decoded: Decoded, tiles: Mapping[int, Strip], deadline: float
    ) -> Prediction:
        queued = time.perf_counter()
        point = job.options.point
        futures: dict[int, asyncio.Future[InferredTile]] = {
            number: self._batcher.put(Tile(tile, point), deadline) for number, tile in tiles.items()
        }
        try:
            inferred = {number: await future for number, future in futures.items()}
        finally:
            for future in futures.values():  # where one failed, the others are of no use
                if not future.cancel() and not future.cancelled():
                    future.exception()
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish_frame, job, decoded, inferred, queued, self._review
        )


class DirectPipeline(StagedPipeline):
    """Runs all stages of a strip on one thread; its batcher runs ``run_batch``."""

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Queue strips, and begin to decode frames; see ``Pipeline``."""
        self.check_room(sum(map(_places, inputs)), deadline)
        return [
            self._batcher.put(job, deadline) if _places(job) == 1 else self._start(job, deadline)
            for job in inputs
        ]


def _places(job: Job) -> int:
    """Return the places that a job takes in the queue."""
    return job.places or 1


def start_pipeline(
    session: Session, loader: ThreadPoolExecutor, images: Executor, options: QueueOptions, max_batch_size: int
) -> tuple[Pipeline, Batcher[Any, Any], ThreadPoolExecutor]:
    """Start the pipeline that suits a session's device.

    Args:
        session: proven and warmed up.
        loader: the one thread that loaded it. Where strips run in batches, it infers as well: CUDA's
            libraries keep handles and memory per thread. Elsewhere it is shut down.
        images: where stages beside inference run.
        options: of the queue.
        max_batch_size: tiles in one inference at most.

    Returns:
        The pipeline, the queue in it, and the threads that infer.
    """
    rules = ImageRules.of(session.metadata, max_pixels=options.max_pixels, check_health=options.check_health)
    review = Review.by(session.metadata)
    batcher: Batcher[Any, Any]
    if session.batches:
        batcher = _start_batcher(
            functools.partial(infer_mixed, session), session, loader, options, max_batch_size
        )
        return StagedPipeline(batcher, images, rules, review), batcher, loader
    loader.shutdown(wait=False)
    threads = ThreadPoolExecutor(session.max_parallel_runs, thread_name_prefix="inference")
    run = functools.partial(run_batch, session, rules=rules)
    batcher = _start_batcher(run, session, threads, options, max_batch_size)
    return DirectPipeline(batcher, images, rules, review), batcher, threads


def _start_batcher(
    run: Callable[[Sequence[X]], Sequence[Y | ServiceError]],
    session: Session,
    threads: Executor,
    options: QueueOptions,
    max_batch_size: int,
) -> Batcher[X, Y]:
    batcher = Batcher(
        run,
        threads,
        max_parallel_runs=session.max_parallel_runs,
        max_runs_ahead=session.max_parallel_runs if not session.batches and max_batch_size == 1 else 0,
        max_batch_size=max_batch_size,
        batch_timeout=options.batch_timeout,
        max_queue_size=options.max_queue_size,
        max_run_seconds=options.max_run_seconds,
        on_batch=options.on_batch,
        on_failure=options.on_failure,
    )
    batcher.start()
    return batcher
