"""The routes: HTTP in, the engine asked, HTTP out."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import APIKeyHeader

from service.api.dataplane import (
    Segmented,
    deadline_of,
    engine_of,
    metrics_of,
    note,
    receive,
    report_failures,
    segment,
    settings_of,
)
from service.api.openapi import document
from service.api.openapi.examples import predictions
from service.api.openapi.problems import error_answers, model_refused
from service.api.parameters import Deadline, PlainRoute, read_deadline, read_query
from service.api.responses import image_result, model_info, model_summary, server_timing, timing_ms
from service.api.schemas import (
    Health,
    ModelInfo,
    PredictQuery,
    PredictResponse,
    ProfileUsed,
    ReloadResponse,
    SegmentQuery,
    operating_point,
    parse_mm_per_px,
)
from service.api.uploads import Upload, read_uploads
from service.errors import ForbiddenError, ServiceError
from service.http.api_keys import ApiKeys
from service.http.authentication import KEY_HEADER
from service.inference.prediction import Output
from service.masks.overlay import draw_overlay
from service.observability.metrics import Metrics

UPLOAD_PATHS = ("/predict", "/overlay")
HEALTH_PATHS = ("/health/live", "/health/ready")
METRICS_PATH = "/metrics"

# Only says so in the OpenAPI document: Access has checked the key long before.
key_wanted = Depends(
    APIKeyHeader(
        name=KEY_HEADER,
        auto_error=False,
        description="Only where the service was started with STEEL_API_KEY or STEEL_API_KEYS_FILE.",
    )
)
strips = APIRouter(dependencies=[key_wanted], route_class=PlainRoute)
protected = APIRouter(dependencies=[key_wanted])
router = APIRouter()
metrics_route = APIRouter()


def _predict_parameters(query: Annotated[PredictQuery, Query()], deadline_ms: Deadline = None) -> None:
    """Describe what ``predict`` reads."""


def _overlay_parameters(query: Annotated[SegmentQuery, Query()], deadline_ms: Deadline = None) -> None:
    """Describe what ``overlay`` reads."""


@strips.post(
    "/predict",
    tags=["Strips"],
    summary="Find defects",
    response_model=PredictResponse,
    response_model_exclude_none=True,
    responses={
        200: {
            "description": "An entry for each file. The examples show what parameters change.",
            "content": {"application/json": {"examples": predictions()}},
        },
        **error_answers(401, 408, 413, 415, 422, 429, 500, 503, 504),
    },
    dependencies=[Depends(_predict_parameters)],
    openapi_extra=document.BODY,
)
async def predict(request: Request) -> Response:
    """Answer a mask and a probability per class for each image of the request.

    One bad file never fails the others: its entry has its own `status` and `problem`. A request with
    a single bad file is answered with that status itself.
    """
    query = read_query(request, PredictQuery)
    mm_per_px = None if query.mm_per_px is None else parse_mm_per_px(query.mm_per_px)
    output = Output(query.mask_format, query.instances, query.maps)
    uploads, done = await _segment(request, query, output)
    failures = done.failures
    if len(failures) == len(done.results) and (len(failures) == 1 or _same_refusal(failures)):
        raise failures[0]
    report_failures(request, failures)
    timing = timing_ms(done.predictions, done.seconds)
    kinds, request_id = done.session.metadata.classes, request.state.request_id
    answer = PredictResponse(
        model=model_summary(done.session),
        profile=ProfileUsed.model_validate(done.point, from_attributes=True),
        images=[
            image_result(upload.filename, result, kinds, request_id, mm_per_px)
            for upload, result in zip(uploads, done.results, strict=True)
        ],
        timing_ms=timing,
    )
    note(request, done, timing)
    return Response(
        answer.model_dump_json(exclude_none=True),
        media_type="application/json",
        headers={"Server-Timing": server_timing(timing)},
    )


@strips.post(
    "/overlay",
    tags=["Strips"],
    summary="Look at the defects",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {}},
            "description": "The strip with coloured masks and a legend.",
        },
        **error_answers(401, 408, 413, 415, 422, 429, 500, 503, 504),
    },
    dependencies=[Depends(_overlay_parameters)],
    openapi_extra=document.BODY,
)
async def overlay(request: Request) -> Response:
    """Answer a PNG: the strip with coloured masks. Takes one image."""
    _, done = await _segment(request, read_query(request, SegmentQuery), Output(), max_files=1)
    result = done.results[0]
    if isinstance(result, ServiceError):
        raise result
    masks = {found.class_id: found.mask for found in result.classes if found.mask is not None}
    captions = {
        kind.id: f"{kind.id} {kind.name} {found.probability:.0%}" + ("" if found.present else " (absent)")
        for kind, found in zip(done.session.metadata.classes, result.classes, strict=True)
    }
    picture = await asyncio.get_running_loop().run_in_executor(
        engine_of(request).threads, draw_overlay, result.strip, masks, captions
    )
    timing = timing_ms(done.predictions, done.seconds)
    note(request, done, timing)
    return Response(picture, media_type="image/png", headers={"Server-Timing": server_timing(timing)})


@protected.get(
    "/model",
    tags=["Model"],
    summary="What the model says of itself",
    responses=error_answers(401, 503),
)
async def model(request: Request) -> ModelInfo:
    """Classes, profiles with what they measured, training data, scores; where it runs and why there."""
    return model_info(engine_of(request).session)


@protected.post(
    "/model/reload",
    tags=["Model"],
    summary="Take another version of the model",
    responses={**error_answers(401, 403, 409, 500, 503), **model_refused()},
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
    return ReloadResponse(changed=changed, model=model_summary(engine_of(request).session))


@router.get("/health/live", tags=["Health"], summary="Is the process alive?", responses=error_answers(503))
async def live(request: Request) -> Health:
    """Answer 200 while the process runs, loading and draining included; 503 once only a new one can help."""
    engine_of(request).check_live()
    return Health(status="live")


@router.get(
    "/health/ready",
    tags=["Health"],
    summary="Can strips be answered?",
    responses=error_answers(503),
)
async def ready(request: Request) -> Health:
    """Answer 200 once the model is loaded, proven on its golden strip and warmed up; 503 otherwise."""
    engine_of(request).check_ready()
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
    return Response(metrics_of(request).render(), media_type=Metrics.content_type)


async def _segment(
    request: Request, query: SegmentQuery, output: Output, *, max_files: int | None = None
) -> tuple[list[Upload], Segmented]:
    """Read the files and answer each with a prediction or its own error, all by the same model."""
    settings = settings_of(request)
    deadline = deadline_of(request, read_deadline(request))
    with engine_of(request).hold() as serving:
        point = operating_point(serving.session.metadata, query)
        # Before the body is read: under overload a refusal must cost next to nothing.
        serving.predictor.check_room(1, deadline)
        reading = read_uploads(
            request,
            max_files=max_files or settings.max_files,
            max_file_bytes=settings.max_file_bytes,
            max_bytes=settings.max_body_bytes,
        )
        uploads = await receive(request, deadline, reading)
        files = [upload.data for upload in uploads]
        return uploads, await segment(request, serving, files, point, output, deadline)


def _same_refusal(failures: Sequence[ServiceError]) -> bool:
    """Whether the service, not the files, is why nothing was answered."""
    return {failure.status for failure in failures} in ({429}, {500}, {503}, {504})
