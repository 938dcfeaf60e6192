"""Images in, their four classes out, in time."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from service.errors import DeadlineExceededError, QueueFullError, ServiceError, unexpected
from service.images.decode import format_of
from service.inference.batcher import Batcher
from service.inference.pipelines import Pipeline
from service.inference.prediction import Job, Prediction, Wanted


class Predictor:
    """Takes the files of requests, or refuses them at once; gives each its answer or its own error.

    Args:
        pipeline: brings strips through their stages.
        batcher: the queue in it, for its limits.
    """

    def __init__(self, pipeline: Pipeline, batcher: Batcher[Any, Any]) -> None:
        self._pipeline = pipeline
        self._batcher = batcher

    async def predict(
        self, files: Sequence[bytes], wanted: Wanted, *, deadline: float
    ) -> list[Prediction | ServiceError]:
        """Answer image files, each with a prediction or with its own error.

        What is no image by its first bytes is told so at once: it takes no room from one that is.

        Args:
            files: the bytes of the files.
            wanted: of each.
            deadline: event-loop time by which the answers are wanted.

        Raises:
            QueueFullError: at once, if there is no room for all images, or no time.
            UnavailableError: if no strips are taken any more.
        """
        refusals = [_refusal(data) for data in files]
        images = [data for data, refusal in zip(files, refusals, strict=True) if refusal is None]
        self.check_room(len(images), deadline)
        works: list[asyncio.Future[Prediction]] = []
        try:
            works.extend(self._pipeline.start(Job(data, wanted), deadline) for data in images)
            await _settled(works, deadline)
        finally:
            for work in works:
                _give_up(work)
        answers = iter([_answer(work) for work in works])
        return [next(answers) if refusal is None else refusal for refusal in refusals]

    def check_room(self, files: int, deadline: float) -> None:
        """Raise QueueFullError unless there is room for so many files, and time before the deadline.

        An idle service takes whatever comes: an estimate from a slow spell must not lock it.
        """
        waiting = self._pipeline.waiting
        if waiting + files > self._batcher.max_queue_size:
            raise self._batcher.full_error()
        left = deadline - asyncio.get_running_loop().time()
        if waiting and self._batcher.expected_seconds(waiting + files) > left:
            raise QueueFullError(
                f"{waiting} strips are waiting, too many for an answer before the deadline in {left:.2f} s",
                self._batcher.retry_after(waiting),
            )


async def _settled(works: Sequence[asyncio.Future[Prediction]], deadline: float) -> None:
    """Wait until all works are done, or the deadline has passed."""
    # In turn and without a task for each: all of them run already.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            for work in works:
                with contextlib.suppress(Exception):  # that of a work is read from it
                    await work


def _give_up(work: asyncio.Future[Prediction]) -> None:
    """Cancel a work that is not done; what became of any other counts as seen."""
    if not work.cancel() and not work.cancelled():
        work.exception()


def _answer(work: asyncio.Future[Prediction]) -> Prediction | ServiceError:
    """Read what became of a work; one that was given up had no time left."""
    if not work.done() or work.cancelled():
        return DeadlineExceededError("the deadline passed before the answer was ready")
    error = work.exception()
    if error is None:
        return work.result()
    return error if isinstance(error, ServiceError) else unexpected(error)


def _refusal(data: bytes) -> ServiceError | None:
    try:
        format_of(data)
    except ServiceError as error:
        return error
    return None
