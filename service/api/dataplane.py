"""Steps that all routes of predictions share: deadline, body, prediction, metrics."""

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

from service.api.parameters import OperatingPointQuery
from service.api.schemas import TimingMs
from service.api.uploads import Upload, UploadLimits, read_uploads
from service.errors import (
    ClientLeftError,
    DeadlineExceededError,
    RequestTimeoutError,
    ServiceError,
)
from service.inference.engine import Engine
from service.inference.model_server import ModelServer
from service.inference.prediction import Prediction, PredictOptions
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
class FileResults:
    """The results of a request's files, in their order."""

    point: Profile
    session: Session
    results: Sequence[Prediction | ServiceError]
    predictions: Sequence[Prediction]
    """The results that are predictions."""
    failures: Sequence[ServiceError]
    """The results that are errors."""
    seconds: float


def deadline_of(request: Request, deadline_ms: int | None) -> float:
    """Return the event-loop time by which a request that begins now must be answered."""
    seconds = settings_of(request).request_timeout_s
    if deadline_ms is not None:
        seconds = min(seconds, deadline_ms / 1000)
    return asyncio.get_running_loop().time() + seconds


async def predict_uploads(
    request: Request, query: OperatingPointQuery, deadline_ms: int | None, *, max_files: int | None = None
) -> tuple[list[Upload], FileResults]:
    """Read the files of a request and predict each, all by the same model.

    Args:
        request: whose body holds the files.
        query: its parameters.
        deadline_ms: milliseconds in which the caller wants the answer; None takes the service's limit.
        max_files: fewer files than the service's limit.

    Raises:
        ServiceError: if the request as a whole is refused.
    """
    settings = settings_of(request)
    deadline = deadline_of(request, deadline_ms)
    with engine_of(request).hold() as server:
        point, options = query.options(server.session.metadata, settings)
        limits = UploadLimits(max_files or settings.max_files, settings.max_file_bytes)
        uploads = await receive(request, deadline, read_uploads(request, limits))
        files = [upload.data for upload in uploads]
        return uploads, await predict_files(request, server, files, point, options, deadline)


async def predict_files(
    request: Request,
    server: ModelServer,
    files: Sequence[bytes],
    point: Profile,
    options: PredictOptions,
    deadline: float,
) -> FileResults:
    """Predict files, each to a prediction or its own error, by a model server that the caller holds.

    Raises:
        QueueFullError: at once, if there is no room for all of them, or no time.
        ClientLeftError: if the client disconnects.
    """
    started = time.perf_counter()
    results = await _unless_disconnected(request, server.predict(files, options, deadline=deadline))
    return FileResults(
        point,
        server.session,
        results,
        predictions=[result for result in results if isinstance(result, Prediction)],
        failures=[result for result in results if isinstance(result, ServiceError)],
        seconds=time.perf_counter() - started,
    )


async def receive(request: Request, deadline: float, reading: Awaitable[T]) -> T:
    """Wait for the body of a request within its time limits.

    Raises:
        RequestTimeoutError: if it takes longer than any body may.
        DeadlineExceededError: if it takes longer than the deadline.
        ClientLeftError: if the client disconnects.
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
        raise _disconnected(request) from error


async def _unless_disconnected(request: Request, work: Awaitable[T]) -> T:
    """Wait for work and cancel it when the client disconnects: uvicorn does not do that by itself."""

    async def watch() -> None:
        with contextlib.suppress(Exception):  # whatever the reason, the client can no longer get an answer
            while (await request.receive())["type"] != "http.disconnect":
                pass
        connection.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as connection:
            watcher = asyncio.ensure_future(watch())
            try:
                return await work
            finally:
                watcher.cancel()
    except TimeoutError as error:
        if connection.expired():
            raise _disconnected(request) from error
        raise


def _disconnected(request: Request) -> ClientLeftError:
    request.state.left = True
    metrics_of(request).disconnects.inc()
    return ClientLeftError("the client disconnected before the answer was ready")


def report_failures(request: Request, failures: Sequence[ServiceError]) -> None:
    """Count files that failed beside others, and log internal errors."""
    for failure in failures:
        metrics_of(request).refusals.labels(failure.title).inc()
        if failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            request_id = request.state.request_id
            _log.error("a file failed", request_id=request_id, error=str(failure), exc_info=failure)


def record_metrics(request: Request, done: FileResults, timing: TimingMs) -> None:
    """Record the predictions in the metrics and in the request's log line."""
    metrics = metrics_of(request)
    found_classes: list[int] = []
    for prediction in done.predictions:
        metrics.verdicts.labels(prediction.verdict.name).inc()
        metrics.count_repeated(prediction.sha256)
        if prediction.health is not None and prediction.health.fault is not None:
            metrics.faults.labels(prediction.health.fault).inc()
        if not prediction.inspected:
            continue
        metrics.tiles.inc(prediction.tiles)
        for stage, meter in metrics.stages.items():
            seconds, cpu_seconds = getattr(prediction.timing, stage)
            meter.seconds.observe(seconds)
            meter.cpu_seconds.inc(cpu_seconds)
        present = [found.class_id for found in prediction.classes if found.present]
        metrics.strips.labels(str(bool(present)).lower()).inc()
        for class_id in present:
            metrics.defects.labels(str(class_id)).inc()
        found_classes.extend(present)
    request.state.log = {
        "files": len(done.results),
        "refused": len(done.failures),
        "verdicts": [prediction.verdict.name for prediction in done.predictions],
        "classes": found_classes,
        "timing_ms": timing.model_dump(),
    }
