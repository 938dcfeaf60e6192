"""The routes: HTTP in, the engine asked, HTTP out."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.security import APIKeyHeader
from starlette.requests import ClientDisconnect

from service import openapi
from service.access import KEY_HEADER
from service.answers import image_result, model_info, model_summary, server_timing, timing_ms
from service.api_keys import ApiKeys
from service.engine import Engine
from service.errors import (
    ClientLeftError,
    DeadlineExceededError,
    ForbiddenError,
    RequestTimeoutError,
    ServiceError,
    UnavailableError,
)
from service.metadata import Profile
from service.metrics import Metrics
from service.overlay import draw_overlay
from service.schemas import (
    Health,
    ModelInfo,
    PredictQuery,
    PredictResponse,
    ProfileUsed,
    ReloadResponse,
    SegmentQuery,
    TimingMs,
    operating_point,
    parse_mm_per_px,
)
from service.session import Session
from service.settings import Settings
from service.stages import Output, Prediction, Wanted
from service.uploads import Upload, read_uploads

T = TypeVar("T")

UPLOAD_PATHS = ("/predict", "/overlay")
HEALTH_PATHS = ("/health/live", "/health/ready")
METRICS_PATH = "/metrics"

_log = structlog.get_logger()

Deadline = Annotated[
    int | None,
    Header(
        alias="X-Deadline-Ms",
        ge=1,
        le=86_400_000,
        description="Milliseconds in which the answer is wanted; strips that cannot make it are not run.",
        examples=[500],
    ),
]


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


@dataclass(frozen=True)
class _Segmented:
    """The files of a request with what became of each."""

    uploads: Sequence[Upload]
    point: Profile
    session: Session
    results: Sequence[Prediction | ServiceError]
    seconds: float

    @property
    def predictions(self) -> list[Prediction]:
        return [result for result in self.results if isinstance(result, Prediction)]


# Only says so in the OpenAPI document: Access has checked the key long before.
key_wanted = Depends(
    APIKeyHeader(
        name=KEY_HEADER,
        auto_error=False,
        description="Only where the service was started with STEEL_API_KEY or STEEL_API_KEYS_FILE.",
    )
)
protected = APIRouter(dependencies=[key_wanted])
router = APIRouter()
metrics_route = APIRouter()


@protected.post(
    "/predict",
    tags=["Strips"],
    summary="Find defects",
    response_model=PredictResponse,
    response_model_exclude_none=True,
    responses=openapi.problems(401, 408, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.BODY,
)
async def predict(
    request: Request, query: Annotated[PredictQuery, Query()], deadline_ms: Deadline = None
) -> Response:
    """Answer a mask and a probability per class for each image of the request.

    One bad file never fails the others: its entry has its own `status` and `problem`. A request with
    a single bad file is answered with that status itself.
    """
    mm_per_px = None if query.mm_per_px is None else parse_mm_per_px(query.mm_per_px)
    output = Output(query.mask_format, query.instances, query.maps)
    done = await _segment(request, query, deadline_ms, output)
    failures = [result for result in done.results if isinstance(result, ServiceError)]
    if len(failures) == len(done.results) and (len(failures) == 1 or _same_refusal(failures)):
        raise failures[0]
    _report_failures(request, failures)
    timing = timing_ms(done.predictions, done.seconds)
    metadata, request_id = done.session.metadata, request.state.request_id
    answer = PredictResponse(
        model=model_summary(done.session),
        profile=ProfileUsed(**done.point.model_dump(include=set(ProfileUsed.model_fields))),
        images=[
            image_result(upload.filename, result, metadata, request_id, mm_per_px)
            for upload, result in zip(done.uploads, done.results, strict=True)
        ],
        timing_ms=timing,
    )
    _note(request, done, timing)
    return Response(
        answer.model_dump_json(exclude_none=True),
        media_type="application/json",
        headers={"Server-Timing": server_timing(timing)},
    )


@protected.post(
    "/overlay",
    tags=["Strips"],
    summary="Look at the defects",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {}},
            "description": "The strip with coloured masks and a legend.",
        },
        **openapi.problems(401, 408, 413, 415, 422, 429, 500, 503, 504),
    },
    openapi_extra=openapi.BODY,
)
async def overlay(
    request: Request, query: Annotated[SegmentQuery, Query()], deadline_ms: Deadline = None
) -> Response:
    """Answer a PNG: the strip with coloured masks. Takes one image."""
    done = await _segment(request, query, deadline_ms, Output(), max_files=1)
    result = done.results[0]
    if isinstance(result, ServiceError):
        raise result
    masks = {found.class_id: found.mask for found in result.classes if found.mask is not None}
    captions = {
        kind.id: f"{kind.id} {kind.name} {found.probability:.0%}" + ("" if found.present else " (absent)")
        for kind, found in zip(done.session.metadata.classes, result.classes, strict=True)
    }
    picture = await asyncio.get_running_loop().run_in_executor(
        _engine(request).threads, draw_overlay, result.strip, masks, captions
    )
    timing = timing_ms(done.predictions, done.seconds)
    _note(request, done, timing)
    return Response(picture, media_type="image/png", headers={"Server-Timing": server_timing(timing)})


@protected.get(
    "/model",
    tags=["Model"],
    summary="What the model says of itself",
    responses=openapi.problems(401, 503),
)
async def model(request: Request) -> ModelInfo:
    """Classes, profiles with what they measured, training data, scores; where it runs and why there."""
    return model_info(_engine(request).session)


@protected.post(
    "/model/reload",
    tags=["Model"],
    summary="Take another version of the model",
    responses={**openapi.problems(401, 403, 409, 500, 503), **openapi.model_refused()},
)
async def reload_model(request: Request) -> ReloadResponse:
    """Look at `STEEL_MODEL` again and switch to what lies there now: a higher version, or a changed file.

    The new model is loaded beside the old, proven on its golden strip and warmed up first; no request is
    lost. If it is bad, the old one goes on. The file of API keys is read again too. Works only where an API
    key is configured.
    """
    keys: ApiKeys = request.app.state.api_keys
    if not keys.required:
        raise ForbiddenError(
            "the model can be reloaded only where an API key is configured (STEEL_API_KEY), or by SIGHUP"
        )
    changed: bool = await request.app.state.reload()
    return ReloadResponse(changed=changed, model=model_summary(_engine(request).session))


@router.get("/health/live", tags=["Health"], summary="Is the process alive?", responses=openapi.problems(503))
async def live(request: Request) -> Health:
    """Answer 200 while the process runs, loading and draining included; 503 once only a new one can help."""
    failure = _engine(request).failure
    if failure is not None:
        raise UnavailableError(failure, retry_after=10)
    return Health(status="live")


@router.get(
    "/health/ready",
    tags=["Health"],
    summary="Can strips be answered?",
    responses=openapi.problems(503),
)
async def ready(request: Request) -> Health:
    """Answer 200 once the model is loaded, proven on its golden strip and warmed up; 503 otherwise."""
    _engine(request).check_ready()
    return Health(status="ready")


@metrics_route.get(
    METRICS_PATH,
    tags=["Health"],
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
async def metrics(request: Request) -> Response:
    """Requests by status, seconds per stage, batch sizes, queue, refusals, defects per class."""
    return Response(_metrics(request).render(), media_type=Metrics.content_type)


async def _segment(
    request: Request,
    query: SegmentQuery,
    deadline_ms: int | None,
    output: Output,
    *,
    max_files: int | None = None,
) -> _Segmented:
    """Read the files and answer each with a prediction or its own error, all by the same model."""
    settings = _settings(request)
    seconds = settings.request_timeout_s
    if deadline_ms is not None:
        seconds = min(seconds, deadline_ms / 1000)
    deadline = asyncio.get_running_loop().time() + seconds
    with _engine(request).hold() as serving:
        session, predictor = serving.session, serving.predictor
        point = operating_point(session.metadata, query)
        # Before the body is read: under overload a refusal must cost next to nothing.
        predictor.check_room(1, deadline)
        uploads = await _receive(request, deadline, max_files or settings.max_files)
        started = time.perf_counter()
        files = [upload.data for upload in uploads]
        work = predictor.predict(files, Wanted(point, output), deadline=deadline)
        results = await _unless_left(request, asyncio.ensure_future(work))
        return _Segmented(uploads, point, session, results, time.perf_counter() - started)


async def _receive(request: Request, deadline: float, max_files: int) -> list[Upload]:
    """Read the files of a request while they come, in the time that they have."""
    settings = _settings(request)
    body_deadline = asyncio.get_running_loop().time() + settings.body_timeout_s
    try:
        async with asyncio.timeout_at(min(deadline, body_deadline)):
            return await read_uploads(
                request,
                max_files=max_files,
                max_file_bytes=settings.max_file_bytes,
                max_bytes=settings.max_body_bytes,
            )
    except TimeoutError as error:
        if body_deadline < deadline:
            raise RequestTimeoutError(f"the body did not arrive in {settings.body_timeout_s:g} s") from error
        raise DeadlineExceededError("the deadline passed before the whole body had arrived") from error
    except ClientDisconnect as error:
        raise _left(request) from error


async def _unless_left(request: Request, work: asyncio.Future[T]) -> T:
    """Wait for work, but cancel it when the caller hangs up: uvicorn does not do that by itself."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.ensure_future(left())
    either: list[asyncio.Future[Any]] = [work, watcher]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise _left(request)
        return work.result()
    finally:
        watcher.cancel()
        work.cancel()


def _left(request: Request) -> ClientLeftError:
    request.state.left = True
    _metrics(request).disconnects.inc()
    return ClientLeftError("the caller left before the answer was ready")


def _same_refusal(failures: Sequence[ServiceError]) -> bool:
    """Whether the service, not the files, is why nothing was answered."""
    return {failure.status for failure in failures} in ({429}, {500}, {503}, {504})


def _report_failures(request: Request, failures: Sequence[ServiceError]) -> None:
    """Count the files that failed beside others, and log what was our fault."""
    for failure in failures:
        _metrics(request).refusals.labels(failure.title).inc()
        if failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            request_id = request.state.request_id
            _log.error("a file failed", request_id=request_id, error=str(failure), exc_info=failure)


def _note(request: Request, done: _Segmented, timing: TimingMs) -> None:
    """Count what was found and leave it for the request's log line."""
    metrics = _metrics(request)
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
