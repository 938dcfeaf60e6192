"""A model that answers, with everything of its own: its queue, its pipeline and the threads that infer."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from service.errors import DeadlineExceededError, ServiceError, unexpected
from service.geometry import Strip
from service.images.decode import format_of
from service.inference.batcher import Batcher
from service.inference.pipelines import Pipeline, StagedPipeline
from service.inference.prediction import Inferred, Job, Prediction, PredictOptions, infer, run_jobs
from service.model.session import Session

X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How the queue of every model is made."""

    max_queue_size: int
    """Strips that may wait."""
    batch_timeout: float
    """Seconds that a strip waits for others when the model is busy."""
    max_pixels: int
    """Largest image, by its header."""
    max_run_seconds: float
    """Longest inference; see ``Batcher``."""
    on_batch: Callable[[int], None]
    on_failure: Callable[[str], None]


class ModelServer:
    """Predicts image files with one session, from ``start`` until its last holder lets it go.

    Args:
        session: the model.
        inference: the threads that infer; shut down with the model.
        batcher: the queue.
        pipeline: brings jobs through their stages.
    """

    def __init__(
        self, session: Session, inference: ThreadPoolExecutor, batcher: Batcher[Any, Any], pipeline: Pipeline
    ) -> None:
        self.session = session
        self.batcher = batcher
        self.pipeline = pipeline
        self._inference = inference
        self._holders = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @classmethod
    async def start(
        cls,
        session: Session,
        inference: ThreadPoolExecutor,
        images: Executor,
        options: QueueOptions,
        max_batch_size: int,
    ) -> Self:
        """Start a queue in front of a session that is ready.

        Args:
            session: proven and warmed up.
            inference: the one thread that loaded it.
            images: where other image work runs.
            options: of the queue.
            max_batch_size: strips in one inference at most.
        """
        if not session.batches:
            inference.shutdown(wait=False)
            inference = ThreadPoolExecutor(session.max_parallel_runs, thread_name_prefix="inference")

        def queue(
            run: Callable[[Sequence[X]], Sequence[Y | ServiceError]], max_runs_ahead: int
        ) -> Batcher[X, Y]:
            batcher = Batcher(
                run,
                inference,
                max_parallel_runs=session.max_parallel_runs,
                max_runs_ahead=max_runs_ahead,
                max_batch_size=max_batch_size,
                batch_timeout=options.batch_timeout,
                max_queue_size=options.max_queue_size,
                max_run_seconds=options.max_run_seconds,
                on_batch=options.on_batch,
                on_failure=options.on_failure,
            )
            batcher.start()
            return batcher

        if session.batches:
            strips: Batcher[Strip, Inferred] = queue(functools.partial(infer, session), 0)
            pipeline = StagedPipeline(strips, images, max_pixels=options.max_pixels)
            return cls(session, inference, strips, pipeline)
        jobs: Batcher[Job, Prediction] = queue(
            functools.partial(run_jobs, session, max_pixels=options.max_pixels),
            session.max_parallel_runs if max_batch_size == 1 else 0,
        )
        return cls(session, inference, jobs, jobs)

    async def predict(
        self, files: Sequence[bytes], options: PredictOptions, *, deadline: float
    ) -> list[Prediction | ServiceError]:
        """Predict image files, each to a prediction or its own error.

        A file that is not an image by its first bytes is refused at once and takes no place in the queue.

        Args:
            files: the bytes of the files.
            options: of all predictions.
            deadline: event-loop time by which the caller wants the answers.

        Raises:
            QueueFullError: at once, if there is no room for all images, or no time.
            UnavailableError: if the queue is closed.
        """
        refusals: list[ServiceError | None] = []
        jobs: list[Job] = []
        for data in files:
            refusals.append(_refusal(data))
            if refusals[-1] is None:
                jobs.append(Job(data, options))
        futures = self.pipeline.put_all(jobs, deadline) if jobs else []
        try:
            await _all_done(futures, deadline)
        finally:
            for future in futures:
                _give_up(future)
        results = iter([_result(future) for future in futures])
        return [next(results) if refusal is None else refusal for refusal in refusals]

    @property
    def held(self) -> bool:
        """Whether a request is being answered."""
        return self._holders > 0

    @contextlib.contextmanager
    def hold(self) -> Iterator[Self]:
        """Keep the model answering while the block runs."""
        self._holders += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._holders -= 1
            if not self._holders:
                self._unused.set()

    async def retire(self) -> None:
        """Wait for the last holder, then close the queue and shut the threads down."""
        await self._unused.wait()
        await self.batcher.close()
        self._inference.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        """Close the queue and shut the threads down without waiting for anything."""
        self.batcher.abandon()
        self._inference.shutdown(wait=False, cancel_futures=True)


async def _all_done(futures: Sequence[asyncio.Future[Prediction]], deadline: float) -> None:
    """Wait until all futures are done or the deadline has passed."""
    # One after the other, and without a task for each: all of them run already.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            for future in futures:
                with contextlib.suppress(Exception):  # _result reads it
                    await future


def _give_up(future: asyncio.Future[Prediction]) -> None:
    """Cancel a future that is not done; mark the exception of any other as retrieved."""
    if not future.cancel() and not future.cancelled():
        future.exception()


def _result(future: asyncio.Future[Prediction]) -> Prediction | ServiceError:
    if not future.done() or future.cancelled():
        return DeadlineExceededError("the deadline passed before the answer was ready")
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, ServiceError) else unexpected(error)


def _refusal(data: bytes) -> ServiceError | None:
    try:
        format_of(data)
    except ServiceError as error:
        return error
    return None
