"""Two ways to bring strips through their stages: on threads of their own, or each on one thread."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from service.errors import InferenceError, ServiceError, unexpected
from service.geometry import Strip
from service.inference.batcher import Batcher
from service.inference.prediction import Decoded, Job, Prediction, finish, read
from service.model.session import Probabilities, Session
from service.observability.stopwatch import Spent, Stopwatch

P = ParamSpec("P")
T = TypeVar("T")


class Pipeline(Protocol):
    """Answers jobs through a queue."""

    @property
    def waiting(self) -> int:
        """Strips that count as waiting."""
        ...

    def start(self, job: Job, deadline: float) -> asyncio.Future[Prediction]:
        """Take a job at once; what comes back holds its answer, and cancelling that gives the job up.

        Raises, at once or later:
            ServiceError: the file's own, or the queue's.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the model says of a strip, and what that took."""

    probabilities: Probabilities
    started: float
    """When its batch began to run, on the clock of ``time.perf_counter``."""
    spent: Spent
    """Seconds of the whole batch; of its processor seconds, this strip's share."""


def infer(session: Session, strips: Sequence[Strip]) -> list[Inferred]:
    """Run the model on a batch of strips and measure it; blocking.

    Raises:
        InferenceError: if it does not answer every strip: nobody could tell whose answer is missing.
    """
    started, watch = time.perf_counter(), Stopwatch()
    probabilities = session.infer(strips)
    seconds, cpu_seconds = watch.read()
    if len(probabilities) != len(strips):
        raise InferenceError(f"the model gave {len(probabilities)} outputs for {len(strips)} inputs")
    spent = Spent(seconds, cpu_seconds / len(strips))
    return [Inferred(one, started, spent) for one in probabilities]


class StagedPipeline:
    """Decodes and postprocesses on threads beside the one that infers, which a GPU keeps waiting for nothing.

    Args:
        batcher: runs ``infer``.
        threads: for the other stages.
        max_pixels: largest image, by its header.
    """

    def __init__(self, batcher: Batcher[Strip, Inferred], threads: Executor, *, max_pixels: int) -> None:
        self._batcher = batcher
        self._threads = threads
        self._max_pixels = max_pixels
        self._decoding = 0

    @property
    def waiting(self) -> int:
        """Strips in the queue, and those that are being decoded for it."""
        return self._batcher.queue_size + self._decoding

    def start(self, job: Job, deadline: float) -> asyncio.Future[Prediction]:
        """Begin to decode; see ``Pipeline``."""
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, read, job, self._max_pixels)
        self._decoding += 1
        # Counted until the thread is done, not until the caller gives up.
        decoding.add_done_callback(self._decoded)
        return asyncio.ensure_future(self._answer(job, decoding, deadline))

    def _decoded(self, decoding: asyncio.Future[Decoded]) -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # seen, even if nobody waits for it any more

    async def _answer(self, job: Job, decoding: asyncio.Future[Decoded], deadline: float) -> Prediction:
        decoded = await asyncio.shield(decoding)
        queued = time.perf_counter()
        inferred = await self._batcher.put(decoded.strip, deadline)
        waited = Spent(inferred.started - queued, 0.0)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish, job, decoded, inferred.probabilities, waited, inferred.spent
        )


class WholePipeline:
    """Brings each strip through all stages on one thread: where strips run side by side, hops only cost.

    Args:
        batcher: runs ``run_jobs``.
    """

    def __init__(self, batcher: Batcher[Job, Prediction]) -> None:
        self._batcher = batcher

    @property
    def waiting(self) -> int:
        """Strips in the queue."""
        return self._batcher.queue_size

    def start(self, job: Job, deadline: float) -> asyncio.Future[Prediction]:
        """Join the queue; see ``Pipeline``."""
        return self._batcher.put(job, deadline)


def run_jobs(session: Session, jobs: Sequence[Job], max_pixels: int) -> list[Prediction | ServiceError]:
    """Bring jobs through all stages, each to its prediction or to its own error; blocking."""
    started = time.perf_counter()
    decoded = [_or_error(read, job, max_pixels) for job in jobs]
    strips = [one.strip for one in decoded if isinstance(one, Decoded)]
    inferred = iter(infer(session, strips) if strips else [])

    def finished(job: Job, one: Decoded) -> Prediction:
        found = next(inferred)
        return finish(job, one, found.probabilities, Spent(started - job.queued, 0.0), found.spent)

    return [
        one if isinstance(one, ServiceError) else _or_error(finished, job, one)
        for job, one in zip(jobs, decoded, strict=True)
    ]


def _or_error(stage: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ServiceError:
    try:
        return stage(*args, **kwargs)
    except ServiceError as error:
        return error
    except Exception as error:
        return unexpected(error)
