"""A model that serves, with its own queue, pipeline and inference threads."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Self

from service.errors import (
    DeadlineExceededError,
    PayloadTooLargeError,
    ServiceError,
    counted,
    forget_frames,
    unexpected,
)
from service.images.decode import Size, format_of, read_size
from service.inference.batcher import Batcher
from service.inference.pipelines import Pipeline, QueueOptions, start_pipeline
from service.inference.prediction import Job, Prediction, PredictOptions
from service.model.session import Session


class ModelServer:
    """Predicts image files with one session, from ``start`` until its last holder lets it go.

    Args:
        session: the model.
        pipeline: brings jobs through their stages.
        batcher: the queue.
        inference: the threads that infer; shut down with the model.
    """

    def __init__(
        self, session: Session, pipeline: Pipeline, batcher: Batcher[Any, Any], inference: ThreadPoolExecutor
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
        loader: ThreadPoolExecutor,
        images: Executor,
        options: QueueOptions,
        max_batch_size: int,
    ) -> Self:
        """Start a queue in front of a session that is ready; see ``start_pipeline`` for the arguments."""
        return cls(session, *start_pipeline(session, loader, images, options, max_batch_size))

    async def predict(
        self, files: Sequence[bytes], options: PredictOptions, *, deadline: float
    ) -> list[Prediction | ServiceError]:
        """Predict image files, each to a prediction or its own error.

        A file that is not an image by its first bytes, or has more tiles than the queue has places, is
        refused at once and takes no place in the queue.

        Args:
            files: the bytes of the files.
            options: of all predictions.
            deadline: event-loop time by which the caller wants the answers.

        Raises:
            QueueFullError: at once, if there is no room for all images, or no time.
            PayloadTooLargeError: at once, if there never is room for all of them.
            UnavailableError: if the queue is closed.
        """
        refusals: list[ServiceError | None] = []
        jobs: list[Job] = []
        total = 0
        for data in files:
            size = read_size(data)
            places = self.pipeline.rules.places(size)
            refusals.append(self._refusal(data, size, places))
            if refusals[-1] is None:
                jobs.append(Job(data, options, places))
                total += places
        if total > self.batcher.max_queue_size:
            raise PayloadTooLargeError(
                f"expected images of at most {counted(self.batcher.max_queue_size, 'tile')} in one request, "
                f"as many as may wait (STEEL_MAX_QUEUE_SIZE), got {total}"
            )
        futures = self.pipeline.put_all(jobs, deadline) if jobs else []
        try:
            await _all_done(futures, deadline)
        finally:
            for future in futures:
                _give_up(future)
        results = iter([_result(future) for future in futures])
        answers = [next(results) if refusal is None else refusal for refusal in refusals]
        for answer in answers:
            if isinstance(answer, ServiceError):
                forget_frames(answer)
        return answers

    def _refusal(self, data: bytes, size: Size | None, places: int) -> ServiceError | None:
        try:
            format_of(data)
        except ServiceError as error:
            return error
        most, tile = self.batcher.max_queue_size, self.pipeline.rules.tile
        if places > most:
            return PayloadTooLargeError(
                f"expected an image of at most {counted(most, 'tile')} of {tile} pixels, as many as may wait "
                f"(STEEL_MAX_QUEUE_SIZE), got {size}, {places} tiles"
            )
        return None

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
