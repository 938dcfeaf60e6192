"""What every route that answers strips shares: limits while the body comes, one way to the model, counts."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect

from service.api.schemas import TimingMs
from service.errors import (
    ClientLeftError,
    DeadlineExceededError,
    RequestTimeoutError,
    ServiceError,
)
from service.inference.engine import Engine
from service.inference.model_server import Serving
from service.inference.prediction import Output, Prediction, Wanted
from service.model.metadata import Profile
from service.model.session import Session
from service.observability.metrics import Metrics
from service.settings import Settings

T = TypeVar("T")

_log = structlog.get_logger()


def engine_of(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine


def metrics_of(request: Request) -> Metrics:
    """Return the metrics of the application."""
    metrics: Metrics = request.app.state.metrics
    return metrics


def settings_of(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


@dataclass(frozen=True)
class Segmented:
    """What became of the files of a request, in their order."""

    point: Profile
    session: Session
    results: Sequence[Prediction | ServiceError]
    seconds: float

    @property
    def predictions(self) -> list[Prediction]:
        """The answers of the files that have one."""
        return [result for result in self.results if isinstance(result, Prediction)]

    @property
    def failures(self) -> list[ServiceError]:
        """The errors of the files that have none."""
        return [result for result in self.results if isinstance(result, ServiceError)]


def deadline_of(request: Request, deadline_ms: int | None) -> float:
    """Return the event-loop time by which a request that begins now has to be answered."""
    seconds = settings_of(request).request_timeout_s
    if deadline_ms is not None:
        seconds = min(seconds, deadline_ms / 1000)
    return asyncio.get_running_loop().time() + seconds


async def segment(
    request: Request,
    serving: Serving,
    files: Sequence[bytes],
    point: Profile,
    output: Output,
    deadline: float,
) -> Segmented:
    """Answer each file with a prediction or its own error, all by a model that the caller holds.

    Raises:
        QueueFullError: at once, if there is no room for all of them, or no time.
        ClientLeftError: if the caller hangs up.
    """
    started = time.perf_counter()
    work = serving.predictor.predict(files, Wanted(point, output), deadline=deadline)
    results = await _unless_left(request, work)
    return Segmented(point, serving.session, results, time.perf_counter() - started)


async def receive(request: Request, deadline: float, reading: Awaitable[T]) -> T:
    """Read the body of a request while it comes, in the time that it has.

    Raises:
        RequestTimeoutError: if it takes longer than any body may.
        DeadlineExceededError: if it takes longer than the deadline.
        ClientLeftError: if the caller hangs up.
    """
    settings = settings_of(request)
    body_deadline = asyncio.get_running_loop().time() + settings.body_timeout_s
    try:
        async with asyncio.timeout_at(min(deadline, body_deadline)):
            return await reading
    except TimeoutError as error:
        if body_deadline < deadline:
            raise RequestTimeoutError(f"the body did not arrive in {settings.body_timeout_s:g} s") from error
        raise DeadlineExceededError("the deadline passed before the whole body had arrived") from error
    except ClientDisconnect as error:
        raise _left(request) from error


async def _unless_left(request: Request, work: Awaitable[T]) -> T:
    """Wait for work, but cancel it when the caller hangs up: uvicorn does not do that by itself."""

    async def watch() -> None:
        with contextlib.suppress(Exception):  # however it ends, nobody can be told an answer any more
            while (await request.receive())["type"] != "http.disconnect":
                pass
        presence.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as presence:
            watcher = asyncio.ensure_future(watch())
            try:
                return await work
            finally:
                watcher.cancel()
    except TimeoutError as error:
        if presence.expired():
            raise _left(request) from error
        raise


def _left(request: Request) -> ClientLeftError:
    request.state.left = True
    metrics_of(request).disconnects.inc()
    return ClientLeftError("the caller left before the answer was ready")


def report_failures(request: Request, failures: Sequence[ServiceError]) -> None:
    """Count the files that failed beside others, and log what was our fault."""
    for failure in failures:
        metrics_of(request).refusals.labels(failure.title).inc()
        if failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            request_id = request.state.request_id
            _log.error("a file failed", request_id=request_id, error=str(failure), exc_info=failure)


def note(request: Request, done: Segmented, timing: TimingMs) -> None:
    """Count what was found and leave it for the request's log line."""
    metrics = metrics_of(request)
    found_classes: list[int] = []
    for prediction in done.predictions:
        for stage, meter in metrics.stages.items():
            meter.record(getattr(prediction.timing, stage))
        present = [found.class_id for found in prediction.classes if found.present]
        metrics.strips.labels(str(bool(present)).lower()).inc()
        for class_id in present:
            metrics.defects.labels(str(class_id)).inc()
        found_classes.extend(present)
    request.state.log = {
        "files": len(done.results),
        "refused": len(done.results) - len(done.predictions),
        "classes": found_classes,
        "timing_ms": timing.model_dump(),
    }
