"""Routes of /predict, /overlay, /model, /health and /metrics."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import APIKeyHeader

from service.api.dataplane import (
    engine_of,
    metrics_of,
    predict_uploads,
    record_metrics,
    report_failures,
)
from service.api.openapi import document
from service.api.openapi.examples import predict_examples
from service.api.openapi.problems import error_answers, model_refused
from service.api.parameters import OperatingPointQuery, PredictQuery, parse_deadline_ms, parse_query
from service.api.plain_route import Deadline, PlainRoute
from service.api.responses import (
    add_strips,
    model_info,
    model_summary,
    predict_response,
    server_timing,
    timing_ms,
)
from service.api.schemas import Health, ModelInfo, PredictResponse, ReloadResponse
from service.errors import ForbiddenError, ServiceError
from service.http.api_keys import ApiKeys
from service.http.authentication import KEY_HEADER
from service.masks.overlay import Layer, class_caption, draw_overlay
from service.observability.metrics import Metrics

UPLOAD_PATHS = ("/predict", "/overlay")
HEALTH_PATHS = ("/health/live", "/health/ready")
METRICS_PATH = "/metrics"

# Describes the key in the OpenAPI document, where one is configured; Authentication checks it.
key_required = Depends(
    APIKeyHeader(
        name=KEY_HEADER,
        auto_error=False,
        description="One of those with which the service was started.",
    )
)
strips = APIRouter(route_class=PlainRoute)
protected = APIRouter()
router = APIRouter()
metrics_route = APIRouter()


def _predict_parameters(query: Annotated[PredictQuery, Query()], deadline_ms: Deadline = None) -> None:
    """Describe the parameters of ``predict``."""


def _overlay_parameters(query: Annotated[OperatingPointQuery, Query()], deadline_ms: Deadline = None) -> None:
    """Describe the parameters of ``overlay``."""


@strips.post(
    "/predict",
    tags=["Strips"],
    summary="Find defects",
    response_model=PredictResponse,
    responses={
        200: {
            "description": "An entry for each file. The examples show the effect of parameters.",
            "content": {"application/json": {"examples": predict_examples()}},
        },
        **error_answers(408, 413, 415, 422, 429, 500, 503, 504),
    },
    dependencies=[Depends(_predict_parameters)],
    openapi_extra=document.BODY,
)
async def predict(request: Request) -> Response:
    """Answer a mask and a probability per class for each image of the request.

    One bad file never fails the others: its entry has its own `status` and `problem`. A request with
    a single bad file is answered with that status itself.
    """
    query = parse_query(request.query_params.multi_items(), PredictQuery)
    pixel_size, deadline_ms = query.pixel_size, parse_deadline_ms(request.headers)
    uploads, done = await predict_uploads(request, query, deadline_ms)
    if done.failures:
        if len(done.failures) == len(done.results) and _same_refusal(done.failures):
            raise done.failures[0]
        report_failures(request, done.failures)
    timing = timing_ms(done.predictions, done.seconds)
    answer = predict_response(uploads, done, timing, request.state.request_id, pixel_size)
    if query.strip:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(engine_of(request).threads, add_strips, answer, done.results)
    headers = {"Server-Timing": server_timing(timing)}
    record_metrics(request, done, timing)
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


@strips.post(
    "/overlay",
    tags=["Strips"],
    summary="Draw the defects",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {}},
            "description": "The image with coloured masks and a legend.",
        },
        **error_answers(408, 413, 415, 422, 429, 500, 503, 504),
    },
    dependencies=[Depends(_overlay_parameters)],
    openapi_extra=document.BODY,
)
async def overlay(request: Request) -> Response:
    """Answer a PNG: the image with coloured masks. Takes one image."""
    query = parse_query(request.query_params.multi_items(), OperatingPointQuery)
    deadline_ms = parse_deadline_ms(request.headers)
    _, done = await predict_uploads(request, query, deadline_ms, max_files=1)
    result = done.results[0]
    if isinstance(result, ServiceError):
        raise result
    kinds = done.session.metadata.classes
    layers = [
        Layer(
            position,
            class_caption(found.class_id, kinds[position].name, found.probability)
            + ("" if found.present else " (absent)"),
            found.mask,
        )
        for position, found in enumerate(result.classes)
    ]
    image = await asyncio.get_running_loop().run_in_executor(
        engine_of(request).threads, draw_overlay, result.strip, layers, result.verdict.words
    )
    timing = timing_ms(done.predictions, done.seconds)
    record_metrics(request, done, timing)
    return Response(image, media_type="image/png", headers={"Server-Timing": server_timing(timing)})


@protected.get(
    "/model",
    tags=["Model"],
    summary="Describe the model",
    responses=error_answers(503),
)
async def model(request: Request) -> ModelInfo:
    """Answer classes, profiles with their scores, training data, and the device with the reason for it."""
    return model_info(engine_of(request).session)


@protected.post(
    "/model/reload",
    tags=["Model"],
    summary="Reload the model",
    responses={**error_answers(403, 409, 500, 503), **model_refused()},
)
async def reload_model(request: Request) -> ReloadResponse:
    """Open `STEEL_MODEL` again and switch to the model there now: a higher version, or a changed file.

    The new model is loaded beside the old one, proven on its golden strip and warmed up first; no request
    is lost. If it is refused, the old one stays. The file of API keys is read again too. Works only where an
    API key is configured.
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
    """Answer 200 while the process runs, loading and draining included; 503 once it has to be replaced."""
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
    """Answer requests by status, seconds per stage, batch sizes, queue, refusals and defects per class."""
    return Response(metrics_of(request).render(), media_type=Metrics.content_type)


def _same_refusal(failures: Sequence[ServiceError]) -> bool:
    """Return whether one error can answer the request: there is one file, or the fault is the service's."""
    return len(failures) == 1 or {failure.status for failure in failures} in ({429}, {500}, {503}, {504})
