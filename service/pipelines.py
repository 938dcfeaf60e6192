"""Two ways to bring strips through their stages: on threads of their own, or each on one thread."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import ParamSpec, Protocol, TypeVar

from service.batcher import Answer, Batcher
from service.errors import ServiceError, unexpected
from service.metadata import Strip
from service.session import Probabilities, Session
from service.stages import Decoded, Job, Prediction, finish, read
from service.stopwatch import Spent, Stopwatch

P = ParamSpec("P")
T = TypeVar("T")


class Pipeline(Protocol):
    """Answers jobs through a queue."""

    @property
    def waiting(self) -> int:
        """Strips that count as waiting."""
        ...

    def start(self, job: Job, deadline: float) -> Awaitable[Prediction]:
        """Take a job at once; what comes back is its answer.

        Raises, at once or later:
            ServiceError: the file's own, or the queue's.
        """
        ...


class StagedPipeline:
    """Decodes and postprocesses on threads beside the one that infers, which a GPU keeps waiting for nothing.

    Args:
        batcher: maps strips to probabilities.
        threads: for the other stages.
        max_pixels: largest image, by its header.
    """

    def __init__(self, batcher: Batcher[Strip, Probabilities], threads: Executor, *, max_pixels: int) -> None:
        self._batcher = batcher
        self._threads = threads
        self._max_pixels = max_pixels
        self._decoding = 0

    @property
    def waiting(self) -> int:
        """Strips in the queue, and those that are being decoded for it."""
        return self._batcher.queue_size + self._decoding

    def start(self, job: Job, deadline: float) -> Awaitable[Prediction]:
        """Begin to decode; see ``Pipeline``."""
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, read, job, self._max_pixels)
        self._decoding += 1
        # Counted until the thread is done, not until the caller gives up.
        decoding.add_done_callback(self._decoded)
        return self._answer(job, decoding, deadline)

    def _decoded(self, decoding: asyncio.Future[Decoded]) -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # seen, even if nobody waits for it any more

    async def _answer(self, job: Job, decoding: asyncio.Future[Decoded], deadline: float) -> Prediction:
        decoded = await asyncio.shield(decoding)
        answer = await self._batcher.submit(decoded.strip, deadline)
        queue = Spent(answer.queue_seconds, 0.0)
        inference = Spent(answer.run.seconds, answer.run.cpu_seconds / answer.batch_size)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish, job, decoded, answer.output, queue, inference
        )


class WholePipeline:
    """Brings each strip through all stages on one thread: where strips run side by side, hops only cost.

    Args:
        batcher: runs ``run_jobs``.
    """

    def __init__(self, batcher: Batcher[Job, Prediction | ServiceError]) -> None:
        self._batcher = batcher

    @property
    def waiting(self) -> int:
        """Strips in the queue."""
        return self._batcher.queue_size

    def start(self, job: Job, deadline: float) -> Awaitable[Prediction]:
        """Join the queue; see ``Pipeline``."""
        return self._answer(self._batcher.put(job, deadline))

    async def _answer(self, future: asyncio.Future[Answer[Prediction | ServiceError]]) -> Prediction:
        answer = await future
        if isinstance(answer.output, ServiceError):
            raise answer.output
        timing = replace(answer.output.timing, queue=Spent(answer.queue_seconds, 0.0))
        return replace(answer.output, timing=timing)


def run_jobs(session: Session, jobs: Sequence[Job], max_pixels: int) -> list[Prediction | ServiceError]:
    """Bring jobs through all stages, each to its prediction or to its own error; blocking."""
    decoded = [_or_error(read, job, max_pixels) for job in jobs]
    strips = [one.strip for one in decoded if isinstance(one, Decoded)]
    watch = Stopwatch()
    probabilities = iter(session.infer(strips) if strips else [])
    seconds, cpu_seconds = watch.read()
    inference = Spent(seconds, cpu_seconds / max(len(strips), 1))
    return [
        one
        if isinstance(one, ServiceError)
        else _or_error(finish, job, one, next(probabilities), Spent(0.0, 0.0), inference)
        for job, one in zip(jobs, decoded, strict=True)
    ]


def _or_error(stage: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ServiceError:
    try:
        return stage(*args, **kwargs)
    except ServiceError as error:
        return error
    except Exception as error:
        return unexpected(error)
