"""The engine loads a model, serves it, replaces it and drains it."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.errors import (
    DeviceError,
    EngineFailedError,
    ModelFileError,
    ModelRefusedError,
    QueueFullError,
    ReloadRunningError,
    ServiceError,
    UnavailableError,
)
from service.inference.model_server import ModelServer
from service.inference.pipelines import QueueOptions
from service.model.cpu_quota import cpu_quota
from service.model.loading import open_session, serves
from service.model.providers import GpuOptions
from service.model.repository import find_model
from service.model.saved_profile import is_saved_profile, profile_name, read_saved_profile
from service.model.session import Device, OrtSession, Session
from service.observability.metrics import Metrics

_log = structlog.get_logger()
_RETRY_SECONDS = 2
_RESTART_SECONDS = 10
_CLOSE_SECONDS = 3.0
"""No caller waits by then; a model that hangs must not keep the process alive."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The model's path, and how it is opened."""

    path: Path
    """A file or a folder; see ``find_model``."""
    profile: str
    """The model must have it; or a file that the page saved."""
    device: Device
    threads: int
    max_batch_size: int | None
    gpu: GpuOptions

    def open(self) -> OrtSession:
        """Open the model that is there now, prove it and warm it up; blocking.

        Raises:
            ModelFileError: if the file cannot be trusted.
            DeviceError: if the device does not work here.
        """
        session = open_session(
            find_model(self.path),
            device=self.device,
            threads=self.threads,
            max_batch_size=self.max_batch_size,
            gpu=self.gpu,
        )
        if is_saved_profile(self.profile):
            saved = read_saved_profile(Path(self.profile))
            session.metadata = saved.added_to(session.metadata, profile_name(self.profile))
            return session
        profiles = [profile.name for profile in session.metadata.profiles]
        if self.profile not in profiles:
            raise ModelFileError(
                f"STEEL_PROFILE: expected one of {', '.join(profiles)}, the model's, got {self.profile!r}"
            )
        return session

    def is_served_by(self, session: Session) -> bool:
        """Return whether a session runs the model that is there now; blocking.

        Raises:
            ModelFileError: if there is no file that can be trusted.
        """
        return serves(session, find_model(self.path))


class Engine:
    """Owns the model server, and the one that replaces it.

    Args:
        metrics: counts batches and reloads.
        source: of the model.
        max_queue_size: strips that may wait.
        batch_timeout: seconds that a strip waits for others when the model is busy.
        max_pixels: largest image, by its header.
        check_health: leave strips beyond the model's limits of health uninspected.
        max_run_seconds: longest inference; one that lasts longer counts as hanging.
        reload_seconds: longest time for a new model to be loaded, proven and warmed up.
        on_fatal: called once when only a new process can help: an inference hangs, a GPU is lost, or the
            queue has died.
    """

    def __init__(
        self,
        metrics: Metrics,
        source: ModelSource,
        *,
        max_queue_size: int,
        batch_timeout: float,
        max_pixels: int,
        check_health: bool,
        max_run_seconds: float,
        reload_seconds: float,
        on_fatal: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._metrics = metrics
        self._source = source
        self._options = QueueOptions(
            max_queue_size=max_queue_size,
            batch_timeout=batch_timeout,
            max_pixels=max_pixels,
            check_health=check_health,
            max_run_seconds=max_run_seconds,
            on_batch=metrics.batch_size.observe,
            on_failure=self._fail,
        )
        self._on_fatal = on_fatal
        self._reload_seconds = reload_seconds
        self._threads = ThreadPoolExecutor(cpu_quota(), thread_name_prefix="images")
        self._server: ModelServer | None = None
        self._retiring: ModelServer | None = None
        self._retirement: asyncio.Task[None] | None = None
        self._reload = asyncio.Lock()
        self.failure: str | None = None
        """The reason why only a new process can help; None if there is none."""
        self.draining = False
        metrics.watch(
            ready=lambda: self.not_ready_reason is None,
            queue_size=lambda: self._server.batcher.queue_size if self._server else 0,
        )

    async def load(self) -> None:
        """Load the model, prove it on its golden strip, warm it up, and serve it.

        Raises:
            ModelFileError: if the file cannot be trusted.
            DeviceError: if the device does not work here.
        """
        self._switch(await self._open())

    async def serve(self, session: Session, *, max_batch_size: int) -> None:
        """Start answering with a session that is ready."""
        inference = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._switch(
            await ModelServer.start(session, inference, self._threads, self._options, max_batch_size)
        )

    async def reload(self) -> bool:
        """Open the source again; if another model is there, load it beside the old one and switch to it.

        The old model finishes the requests that it accepted.

        Returns:
            Whether another model answers now.

        Raises:
            UnavailableError: if no model serves.
            ReloadRunningError: if another reload is running.
            ModelRefusedError: if the new model cannot be trusted or does not run; the old one continues.
        """
        try:
            changed = await self._reload_once()
        except ModelRefusedError as error:
            self._count_reload("refused", error)
            raise
        except ReloadRunningError as error:
            self._count_reload("busy", error)
            raise
        except Exception as error:
            self._count_reload("failed", error)
            raise
        self._count_reload("switched" if changed else "unchanged", None)
        return changed

    async def _reload_once(self) -> bool:
        self.check_ready()
        if self._server is None:
            raise AssertionError("ready without a model")
        if self._reload.locked():
            raise ReloadRunningError("another reload is running; retry when it has ended")
        async with self._reload:
            if self._retirement is not None:
                await asyncio.wait([self._retirement])  # never more than two models in memory
            try:
                if await asyncio.to_thread(self._source.is_served_by, self._server.session):
                    return False
                async with asyncio.timeout(self._reload_seconds):
                    new = await self._open()
            except (ModelFileError, DeviceError) as error:
                raise ModelRefusedError(f"the model was not changed: {error}") from error
            except TimeoutError as error:
                raise ModelRefusedError(
                    f"the model was not changed: the new one was not ready within {self._reload_seconds:g} s"
                ) from error
            self._switch(new)
            return True

    def _count_reload(self, outcome: str, error: Exception | None) -> None:
        self._metrics.reloads.labels(outcome).inc()
        if error is None:
            _log.info("reload", outcome=outcome)
        else:
            known = isinstance(error, ServiceError)
            _log.error("reload", outcome=outcome, error=str(error), exc_info=None if known else error)

    async def _open(self) -> ModelServer:
        # On the thread that will serve: CUDA's libraries keep handles and memory per thread.
        inference = ThreadPoolExecutor(1, thread_name_prefix="inference")
        try:
            session = await asyncio.get_running_loop().run_in_executor(inference, self._source.open)
        except BaseException:
            inference.shutdown(wait=False)
            raise
        if session.fallback_reason:
            _log.warning("running on the CPU instead of a GPU", reason=session.fallback_reason)
        return await ModelServer.start(
            session, inference, self._threads, self._options, session.batch_sizes[-1]
        )

    def _switch(self, new: ModelServer) -> None:
        """Send new requests to another model; the old one keeps those that it has."""
        old, self._server = self._server, new
        if old is not None:
            self._retiring = old
            self._retirement = asyncio.create_task(self._retire(old), name="retirement")
        session = new.session
        self._metrics.model.clear()
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

    async def _retire(self, old: ModelServer) -> None:
        await old.retire()
        self._retiring = None  # drop the last reference, so that the model's memory is freed

    def _fail(self, reason: str) -> None:
        """Record that only a new process can help; on the event loop."""
        if self.failure is not None:
            return
        self.failure = reason
        _log.critical("the service cannot go on", reason=reason)
        self._on_fatal(EngineFailedError(reason))

    @property
    def not_ready_reason(self) -> str | None:
        """The reason why strips cannot be answered now; None if they can."""
        if self.draining:
            return "the service is shutting down"
        return self.failure or ("the model is being loaded" if self._server is None else None)

    @property
    def threads(self) -> ThreadPoolExecutor:
        """The threads for image work."""
        return self._threads

    @property
    def session(self) -> Session:
        """The session of the model that serves.

        Raises:
            UnavailableError: if the service is not ready.
        """
        with self.hold() as server:
            return server.session

    def hold(self) -> contextlib.AbstractContextManager[ModelServer]:
        """Hold the model server for one request: it stays until the block ends, even if another replaces it.

        Raises:
            UnavailableError: if the service is not ready.
        """
        self.check_ready()
        if self._server is None:
            raise AssertionError("ready without a model")
        return self._server.hold()

    def upload_refusal(self, deadline_ms: str) -> ServiceError | None:
        """Return why no strip can be taken now; None if one can.

        Args:
            deadline_ms: in which the caller wants its answer; a value that is not allowed counts as none,
                since the route refuses it.
        """
        reason = self.not_ready_reason
        if reason is not None:
            return UnavailableError(reason, _RETRY_SECONDS)
        if self._server is None:
            raise AssertionError("ready without a model")
        allowed = deadline_ms.isdecimal() and len(deadline_ms) < 9 and int(deadline_ms) > 0
        seconds = int(deadline_ms) / 1000 if allowed else math.inf
        try:
            self._server.pipeline.check_room(1, asyncio.get_running_loop().time() + seconds)
        except QueueFullError as error:
            return error
        return None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return any(one is not None and one.held for one in (self._server, self._retiring))

    def check_live(self) -> None:
        """Raise UnavailableError with the reason once only a new process can help."""
        if self.failure is not None:
            raise UnavailableError(self.failure, _RESTART_SECONDS)

    def check_ready(self) -> None:
        """Raise UnavailableError with the reason unless strips can be answered."""
        reason = self.not_ready_reason
        if reason is not None:
            raise UnavailableError(reason, _RETRY_SECONDS)

    def abandon(self) -> None:
        """Refuse all requests that are not answered yet, and let threads end by themselves."""
        self.draining = True
        for server in (self._server, self._retiring):
            if server is not None:
                server.abandon()

    async def close(self) -> None:
        """Finish accepted requests, within seconds, then shut everything down."""
        self.draining = True
        closing = [] if self._retirement is None else [self._retirement]
        if self._server is not None:
            closing.append(asyncio.create_task(self._server.retire(), name="retirement"))
        if closing:
            _, hanging = await asyncio.wait(closing, timeout=_CLOSE_SECONDS)
            for task in hanging:
                task.cancel()
        self.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)
