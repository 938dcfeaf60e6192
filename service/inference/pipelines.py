"""Pipelines bring jobs through their stages.

On a CPU, a ``Batcher`` of jobs is the pipeline: each of its threads runs all stages of a strip, since handing
a strip from thread to thread only costs. On a GPU, ``StagedPipeline`` decodes and postprocesses on other
threads, so that the one thread that infers never waits for them.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
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
    Job,
    Prediction,
    decode_job,
    finish_job,
    infer,
    refuse_job,
    run_jobs,
)
from service.model.session import Session
from service.model.verdict import Review

X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Options of the queue of every model."""

    max_queue_size: int
    """Strips that may wait."""
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
    """Predicts jobs; a ``Batcher`` of jobs is one."""

    @property
    def queue_size(self) -> int:
        """Jobs that count as waiting."""
        ...

    def check_room(self, inputs: int, deadline: float) -> None:
        """Raise QueueFullError unless so many jobs can be taken; see ``Batcher.check_room``."""
        ...

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Queue all jobs or none; see ``Batcher.put_all``. Cancel a future to give up its job."""
        ...


class StagedPipeline:
    """Decodes and postprocesses on threads beside the one that infers.

    Args:
        batcher: runs ``infer``.
        threads: for the other stages.
        rules: of images.
        review: of the model's answers.
    """

    def __init__(
        self,
        batcher: Batcher[Strip, Inferred],
        threads: Executor,
        rules: ImageRules,
        review: Review,
    ) -> None:
        self._batcher = batcher
        self._threads = threads
        self._rules = rules
        self._review = review
        self._decoding = 0

    @property
    def queue_size(self) -> int:
        """Strips in the queue, and those that are being decoded for it."""
        return self._batcher.queue_size + self._decoding

    def check_room(self, inputs: int, deadline: float) -> None:
        """Raise QueueFullError unless so many jobs can be taken; see ``Batcher.check_room``."""
        self._batcher.check_room(inputs, deadline, upstream=self._decoding)

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Begin to decode; see ``Pipeline``."""
        self.check_room(len(inputs), deadline)
        return [asyncio.ensure_future(self._predict(job, self._decode(job), deadline)) for job in inputs]

    def _decode(self, job: Job) -> asyncio.Future[Decoded]:
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, decode_job, job, self._rules)
        self._decoding += 1
        # Counted until the thread is done, not until the caller gives up.
        decoding.add_done_callback(self._on_decoded)
        return decoding

    def _on_decoded(self, decoding: asyncio.Future[Decoded]) -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # retrieved, even if the caller has left

    async def _predict(self, job: Job, decoding: asyncio.Future[Decoded], deadline: float) -> Prediction:
        decoded = await asyncio.shield(decoding)
        if not decoded.shows_steel:
            return refuse_job(decoded)
        queued = time.perf_counter()
        inferred = await self._batcher.put(decoded.strip, deadline)
        queue = Elapsed(inferred.started - queued, 0.0)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish_job, job, decoded, inferred, queue, self._review
        )


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
        max_batch_size: strips in one inference at most.

    Returns:
        The pipeline, the queue in it, and the threads that infer.
    """
    rules = ImageRules(options.max_pixels, session.metadata.health if options.check_health else None)
    if session.batches:
        strips = _start_batcher(functools.partial(infer, session), session, loader, options, max_batch_size)
        return StagedPipeline(strips, images, rules, Review.by(session.metadata)), strips, loader
    loader.shutdown(wait=False)
    threads = ThreadPoolExecutor(session.max_parallel_runs, thread_name_prefix="inference")
    run = functools.partial(run_jobs, session, rules=rules)
    jobs = _start_batcher(run, session, threads, options, max_batch_size)
    return jobs, jobs, threads


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
