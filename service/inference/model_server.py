"""One model that answers, with everything of its own: queue, pipeline and the threads that infer."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from service.errors import ServiceError
from service.inference.batcher import Batcher
from service.inference.pipelines import Pipeline, StagedPipeline, WholePipeline, infer, run_jobs
from service.inference.predictor import Predictor
from service.model.session import Session

X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """What every model's queue is made with."""

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


class Serving:
    """Answers with one session from ``start`` until nobody holds it any more.

    Args:
        session: the model.
        inference: the threads that infer; let go with the model.
        batcher: the queue.
        pipeline: brings strips through their stages.
    """

    def __init__(
        self,
        session: Session,
        inference: ThreadPoolExecutor,
        batcher: Batcher[Any, Any],
        pipeline: Pipeline,
    ) -> None:
        self.session = session
        self.batcher = batcher
        self.predictor = Predictor(pipeline, batcher)
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
        whole = session.max_parallel_runs > 1
        if whole:
            inference.shutdown(wait=False)
            inference = ThreadPoolExecutor(session.max_parallel_runs, thread_name_prefix="inference")

        def queue(run: Callable[[Sequence[X]], Sequence[Y | ServiceError]]) -> Batcher[X, Y]:
            return Batcher(
                run,
                inference,
                max_parallel_runs=session.max_parallel_runs,
                max_waiting_runs=session.max_parallel_runs if whole and max_batch_size == 1 else 0,
                max_batch_size=max_batch_size,
                batch_timeout=options.batch_timeout,
                max_queue_size=options.max_queue_size,
                max_run_seconds=options.max_run_seconds,
                on_batch=options.on_batch,
                on_failure=options.on_failure,
            )

        batcher: Batcher[Any, Any]
        pipeline: Pipeline
        if whole:
            batcher = queue(lambda jobs: run_jobs(session, jobs, options.max_pixels))
            pipeline = WholePipeline(batcher)
        else:
            batcher = queue(lambda strips: infer(session, strips))
            pipeline = StagedPipeline(batcher, images, max_pixels=options.max_pixels)
        batcher.start()
        return cls(session, inference, batcher, pipeline)

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
        """Wait until nobody holds it, then let go of queue and threads."""
        await self._unused.wait()
        await self.batcher.close()
        self._inference.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        """Let go of the threads whatever they do."""
        self.batcher.abandon()
        self._inference.shutdown(wait=False, cancel_futures=True)
