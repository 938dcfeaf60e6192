"""Images in, their four classes out, in time."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from service.batcher import Batcher
from service.errors import DeadlineExceededError, QueueFullError, ServiceError, unexpected
from service.pipelines import Pipeline
from service.preprocess import format_of
from service.stages import Job, Prediction, Wanted


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
        works = [self._pipeline.start(Job(data, wanted), deadline) for data in images]
        answers = iter(await asyncio.gather(*(self._in_time(work, deadline) for work in works)))
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

    async def _in_time(self, work: Awaitable[Prediction], deadline: float) -> Prediction | ServiceError:
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            return DeadlineExceededError("the deadline passed before the answer was ready")
        except ServiceError as error:
            return error
        except Exception as error:
            return unexpected(error)


def _refusal(data: bytes) -> ServiceError | None:
    try:
        format_of(data)
    except ServiceError as error:
        return error
    return None
