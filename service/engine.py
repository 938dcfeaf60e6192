"""The running model with everything around it: loaded, proven, warmed up, drained."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from service.batcher import Batcher
from service.cpu_quota import cpu_quota
from service.errors import ServiceError, UnavailableError
from service.metrics import Metrics
from service.model_repository import find_model
from service.pipelines import Pipeline, StagedPipeline, WholePipeline, run_jobs
from service.predictor import Predictor
from service.providers import GpuOptions
from service.session import Device, OrtSession, Session, open_session
from service.stages import Job, Prediction

X = TypeVar("X")
Y = TypeVar("Y")

_log = structlog.get_logger()
_RETRY_SECONDS = 2


class Engine:
    """Owns session, batcher and threads from start to close.

    Args:
        metrics: where batches are counted.
        max_queue_size: strips that may wait.
        batch_timeout: seconds that a strip waits for others when the model is busy.
        max_pixels: largest image, by its header.
    """

    def __init__(
        self, metrics: Metrics, *, max_queue_size: int, batch_timeout: float, max_pixels: int
    ) -> None:
        self._metrics = metrics
        self._max_queue_size = max_queue_size
        self._batch_timeout = batch_timeout
        self._max_pixels = max_pixels
        self._threads = ThreadPoolExecutor(cpu_quota(), thread_name_prefix="images")
        self._inference = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._session: Session | None = None
        self._batcher: Batcher[Any, Any] | None = None
        self._predictor: Predictor | None = None
        self.draining = False
        metrics.watch(
            ready=lambda: self.not_ready_reason is None,
            queue_size=lambda: self._batcher.queue_size if self._batcher else 0,
        )

    async def load(
        self, model: Path, *, device: Device, threads: int, max_batch_size: int | None, gpu: GpuOptions
    ) -> None:
        """Load a model file, prove it on its golden strip, warm it up, and serve it.

        Raises:
            ModelFileError: if the file cannot be trusted.
            DeviceError: if the device does not work here.
        """

        def open_model() -> OrtSession:
            return open_session(
                find_model(model), device=device, threads=threads, max_batch_size=max_batch_size, gpu=gpu
            )

        # On the thread that will serve: CUDA's libraries keep handles and memory per thread.
        session = await asyncio.get_running_loop().run_in_executor(self._inference, open_model)
        if session.fallback_reason:
            _log.warning("running on the CPU instead of a GPU", reason=session.fallback_reason)
        await self.serve(session, max_batch_size=session.batch_sizes[-1])

    async def serve(self, session: Session, *, max_batch_size: int) -> None:
        """Start answering with a session that is ready."""
        if session.max_parallel_runs > 1:
            self._inference.shutdown(wait=False)
            self._inference = ThreadPoolExecutor(session.max_parallel_runs, thread_name_prefix="inference")
            whole: Batcher[Job, Prediction | ServiceError] = self._new_batcher(
                lambda jobs: run_jobs(session, jobs, self._max_pixels), session, max_batch_size
            )
            pipeline: Pipeline = WholePipeline(whole)
            batcher: Batcher[Any, Any] = whole
        else:
            staged = self._new_batcher(session.infer, session, max_batch_size)
            pipeline = StagedPipeline(staged, self._threads, max_pixels=self._max_pixels)
            batcher = staged
        self._batcher = await batcher.__aenter__()
        self._session = session
        self._predictor = Predictor(pipeline, batcher)
        self._metrics.model.labels(
            session.metadata.name,
            session.metadata.version,
            session.sha256,
            session.provider,
            session.metadata.precision,
            str(session.fallback_reason is not None).lower(),
        ).set(1)
        _log.info(
            "model ready",
            name=session.metadata.name,
            version=session.metadata.version,
            sha256=session.sha256,
            provider=session.provider,
        )

    def _new_batcher(
        self, run: Callable[[Sequence[X]], Sequence[Y]], session: Session, max_batch_size: int
    ) -> Batcher[X, Y]:
        return Batcher(
            run,
            self._inference,
            max_parallel_runs=session.max_parallel_runs,
            max_batch_size=max_batch_size,
            batch_timeout=self._batch_timeout,
            max_queue_size=self._max_queue_size,
            on_batch=self._metrics.batch_size.observe,
        )

    @property
    def not_ready_reason(self) -> str | None:
        """Why strips cannot be answered now; None when they can."""
        if self.draining:
            return "the service is shutting down"
        if self._batcher is None:
            return "the model is being loaded"
        if not self._batcher.alive:
            return "the batcher has stopped"
        return None

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where image work runs."""
        return self._threads

    @property
    def session(self) -> Session:
        """The session that serves.

        Raises:
            UnavailableError: if there is none yet, none any more, or it is going.
        """
        self.check_ready()
        if self._session is None:
            raise AssertionError("ready without a session")
        return self._session

    @property
    def predictor(self) -> Predictor:
        """What answers images.

        Raises:
            UnavailableError: if it cannot.
        """
        self.check_ready()
        if self._predictor is None:
            raise AssertionError("ready without a predictor")
        return self._predictor

    @property
    def refusal(self) -> ServiceError | None:
        """Why no strip can be taken now, for every caller alike; None when some can."""
        if self._batcher is not None and self._batcher.alive and self._batcher.full:
            return self._batcher.full_error()
        return None

    def check_ready(self) -> None:
        """Raise UnavailableError with the reason unless strips can be answered."""
        reason = self.not_ready_reason
        if reason is not None:
            raise UnavailableError(reason, _RETRY_SECONDS)

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything."""
        self.draining = True
        if self._batcher is not None:
            await self._batcher.close()
        for threads in (self._threads, self._inference):
            threads.shutdown(wait=False, cancel_futures=True)
