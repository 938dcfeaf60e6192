"""Routes of the Open Inference Protocol, version 2, for clients of KServe and Triton."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError

from service import __version__
from service.api.dataplane import (
    FileResults,
    deadline_of,
    engine_of,
    predict_files,
    receive,
    record_metrics,
    report_failures,
    settings_of,
)
from service.api.openapi.document import BINARY
from service.api.openapi.problems import error_answers
from service.api.parameters import OperatingPointQuery, invalid_parameter
from service.api.plain_route import Deadline
from service.api.responses import server_timing, timing_ms
from service.api.uploads import UploadLimits
from service.api.v2.document import INFER_BODY
from service.api.v2.requests import JSON_LENGTH_HEADER, ParsedRequest, read_request
from service.api.v2.schemas import (
    InferResponse,
    ModelReady,
    ModelTensors,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from service.api.v2.tensors import INPUT, Tensor, Values, outputs_of, write_response
from service.errors import InvalidParameterError, NotFoundError, NotInspectedError, ServiceError
from service.http.content_coding import CODING_HEADER, accepted_coding, compress
from service.inference.prediction import Prediction, PredictOptions
from service.masks.formats import class_bits
from service.model.metadata import ModelMetadata, Profile

T = TypeVar("T")

MODEL_PATH = "/v2/models/{name}"
VERSION_PATH = f"{MODEL_PATH}/versions/{{version}}"
PLATFORM = "onnxruntime_onnx"

INFER_PATHS = (f"{MODEL_PATH}/infer", f"{VERSION_PATH}/infer")
V2_HEALTH_PATHS = ("/v2/health/live", "/v2/health/ready")

_OCTETS = "application/octet-stream"
_JsonBytes = Annotated[
    int | None,
    Header(
        alias=JSON_LENGTH_HEADER,
        ge=1,
        lt=2**31,
        description="Length of the JSON if binary data follows it (Triton's binary tensor data extension).",
    ),
]
_NOT_READY = error_answers(503, v2=True)
NO_SUCH_MODEL = error_answers(404, 422, 503, v2=True)
_INFER: dict[str, Any] = {
    "response_model": InferResponse,
    "responses": {
        200: {
            "content": {_OCTETS: {"schema": BINARY}},
            "description": "JSON, or JSON with binary data.",
        },
        **error_answers(404, 408, 413, 415, 422, 429, 500, 503, 504, v2=True),
    },
    "openapi_extra": INFER_BODY,
}

v2_protected = APIRouter(tags=["Open Inference Protocol"])
v2_router = APIRouter(tags=["Open Inference Protocol"])


@v2_router.get(V2_HEALTH_PATHS[0], summary="Is the process alive?", responses=_NOT_READY)
async def v2_live(request: Request) -> ServerLive:
    """Answer as `/health/live` does."""
    engine_of(request).check_live()
    return ServerLive(live=True)


@v2_router.get(V2_HEALTH_PATHS[1], summary="Can strips be answered?", responses=_NOT_READY)
async def v2_ready(request: Request) -> ServerReady:
    """Answer as `/health/ready` does."""
    engine_of(request).check_ready()
    return ServerReady(ready=True)


@v2_protected.get("/v2/", include_in_schema=False)
@v2_protected.get("/v2", summary="Describe the server")
async def v2_server() -> ServerMetadata:
    """Answer name, version and extensions of the server."""
    extensions = ("binary_tensor_data", "model_configuration")
    return ServerMetadata(name="steel-defect-service", version=__version__, extensions=extensions)


@v2_protected.get(MODEL_PATH, summary="Describe the model's tensors", responses=NO_SUCH_MODEL)
async def v2_model(request: Request, name: str) -> ModelTensors:
    """Answer name, version, and tensors of the model that serves."""
    return _tensors(served(request, name))


@v2_protected.get(VERSION_PATH, summary="Describe the tensors of a version", responses=NO_SUCH_MODEL)
async def v2_model_version(request: Request, name: str, version: str) -> ModelTensors:
    """Answer name, version, and tensors of the model, if this version serves."""
    return _tensors(served(request, name, version))


@v2_protected.get(f"{MODEL_PATH}/ready", summary="Can the model answer?", responses=NO_SUCH_MODEL)
async def v2_model_ready(request: Request, name: str) -> ModelReady:
    """Answer 200 while the model of this name serves."""
    return ModelReady(name=served(request, name).name, ready=True)


@v2_protected.get(f"{VERSION_PATH}/ready", summary="Can the version answer?", responses=NO_SUCH_MODEL)
async def v2_model_version_ready(request: Request, name: str, version: str) -> ModelReady:
    """Answer 200 while this version of the model serves."""
    return ModelReady(name=served(request, name, version).name, ready=True)


@v2_protected.post(INFER_PATHS[0], summary="Find defects, as tensors", **_INFER)
async def v2_infer(
    request: Request, name: str, deadline_ms: Deadline = None, json_bytes: _JsonBytes = None
) -> Response:
    """Answer masks and probabilities of image files, elements of the BYTES tensor `image`.

    In JSON they are in base64; as binary data they are the files themselves. If one image fails, the request
    fails with that image's status; a strip that does not show steel fails with 422. The tensor `mask` needs
    images of one size.
    """
    return await _infer(request, name, None, deadline_ms, json_bytes)


@v2_protected.post(INFER_PATHS[1], summary="Find defects, as tensors, by a version", **_INFER)
async def v2_infer_version(
    request: Request,
    name: str,
    version: str,
    deadline_ms: Deadline = None,
    json_bytes: _JsonBytes = None,
) -> Response:
    """Answer as the path without a version does, if this version serves."""
    return await _infer(request, name, version, deadline_ms, json_bytes)


async def _infer(
    request: Request, name: str, version: str | None, deadline_ms: int | None, json_bytes: int | None
) -> Response:
    began, deadline = asyncio.get_running_loop().time(), deadline_of(request, deadline_ms)
    with engine_of(request).hold() as server:
        metadata = server.session.metadata
        _check_model(metadata, name, version)
        parsed = await _read(request, metadata, deadline, json_bytes)
        if parsed.seconds is not None:
            deadline = min(deadline, began + parsed.seconds)
        point, options = _options(request, metadata, parsed)
        if any(tensor.name == "rle" for tensor, _ in parsed.outputs):
            options = replace(options, mask_format="rle")
        done = await predict_files(request, server, parsed.files, point, options, deadline)
        for index, failure in enumerate(map(_failure_of, done.results)):
            if failure is not None:
                report_failures(request, done.failures[1:])
                record_metrics(request, done, timing_ms(done.predictions, done.seconds))
                raise failure.about(f"{INPUT.name}[{index}]") from failure
        _check_sizes(parsed, done)
        # Still held: a draining service must not end before the answer is written.
        coding = accepted_coding(",".join(request.headers.getlist("accept-encoding")))
        answer, length = await _on_thread(
            request, lambda: _write(metadata, parsed, request.state.request_id, done, coding)
        )
    timing = timing_ms(done.predictions, done.seconds)
    headers = {"Server-Timing": server_timing(timing), "Vary": "Accept-Encoding"}
    if coding is not None:
        headers[CODING_HEADER] = coding
    if length is not None:
        headers[JSON_LENGTH_HEADER] = str(length)
    record_metrics(request, done, timing)
    return Response(answer, media_type="application/json" if length is None else _OCTETS, headers=headers)


def _check_sizes(parsed: ParsedRequest, done: FileResults) -> None:
    """Check that masks of all images fit into one tensor, if it is requested."""
    sizes = sorted({one.strip.shape[::-1] for one in done.predictions})
    if len(sizes) > 1 and any(tensor.name == "mask" for tensor, _ in parsed.outputs):
        found = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise InvalidParameterError(
            "outputs", f"outputs: expected images of one size for the tensor mask, got {found}"
        )


def _failure_of(result: Prediction | ServiceError) -> ServiceError | None:
    """Return the error of a result; a strip that was not inspected is one: tensors cannot say it."""
    if isinstance(result, ServiceError):
        return result
    return None if result.inspected else NotInspectedError(result.verdict.reason)


def _write(
    metadata: ModelMetadata, parsed: ParsedRequest, request_id: str, done: FileResults, coding: str | None
) -> tuple[bytes, int | None]:
    tensors = [
        Tensor(tensor, _VALUES[tensor.name](done.predictions), binary) for tensor, binary in parsed.outputs
    ]
    model = (metadata.name, metadata.version)
    answer_id = parsed.id if parsed.id is not None else request_id
    answer, length = write_response(model, answer_id, tensors, len(done.results))
    return answer if coding is None else compress(answer, coding), length


async def _read(
    request: Request, metadata: ModelMetadata, deadline: float, json_bytes: int | None
) -> ParsedRequest:
    async def chunks() -> bytes:
        return b"".join([chunk async for chunk in request.stream()])

    body = await receive(request, deadline, chunks())
    settings = settings_of(request)
    limits = UploadLimits(settings.max_files, settings.max_file_bytes)
    outputs = outputs_of(len(metadata.classes))
    return await _on_thread(request, lambda: read_request(body, json_bytes, limits, outputs))


async def _on_thread(request: Request, work: Callable[[], T]) -> T:
    """Run work of milliseconds, on megabytes of base64 or masks, on a thread, to delay no other request."""
    return await asyncio.get_running_loop().run_in_executor(engine_of(request).threads, work)


def _options(
    request: Request, metadata: ModelMetadata, parsed: ParsedRequest
) -> tuple[Profile, PredictOptions]:
    """Validate the parameters about masks as /predict does."""
    try:
        query = OperatingPointQuery.model_validate(parsed.point)
        return query.options(metadata, settings_of(request))
    except ValidationError as error:
        errors = error.errors()
        raise invalid_parameter(errors, f"parameters.{errors[0]['loc'][-1]}") from error
    except InvalidParameterError as error:
        raise InvalidParameterError(f"parameters.{error.name}", f"parameters.{error.detail}") from error


def served(request: Request, name: str, version: str | None = None) -> ModelMetadata:
    """Return the metadata of the model that serves.

    Raises:
        NotFoundError: if it has another name or version.
        UnavailableError: if none serves.
    """
    metadata = engine_of(request).session.metadata
    _check_model(metadata, name, version)
    return metadata


def _check_model(metadata: ModelMetadata, name: str, version: str | None) -> None:
    if name != metadata.name or version not in (None, metadata.version):
        missing = f"model {name!r}" if version is None else f"version {version!r} of a model {name!r}"
        raise NotFoundError(
            f"there is no {missing} here; {metadata.name!r}, version {metadata.version!r}, serves"
        )


def _tensors(metadata: ModelMetadata) -> ModelTensors:
    return ModelTensors(
        name=metadata.name,
        versions=(metadata.version,),
        platform=PLATFORM,
        inputs=(INPUT,),
        outputs=outputs_of(len(metadata.classes)),
    )


def _probabilities(predictions: Sequence[Prediction]) -> Values:
    return np.array([[found.probability for found in one.classes] for one in predictions], dtype=np.float32)


def _present(predictions: Sequence[Prediction]) -> Values:
    return np.array([[found.present for found in one.classes] for one in predictions], dtype=np.bool_)


def _masks(predictions: Sequence[Prediction]) -> Values:
    return np.stack(
        [class_bits([found.mask for found in one.classes], one.strip.shape[::-1]) for one in predictions]
    )


def _codes(predictions: Sequence[Prediction]) -> Values:
    return [str(code["rle"]).encode("ascii") for one in predictions for code in one.codes]


def _verdicts(predictions: Sequence[Prediction]) -> Values:
    return [one.verdict.name.encode("ascii") for one in predictions]


def _reasons(predictions: Sequence[Prediction]) -> Values:
    return [one.verdict.reason.encode() for one in predictions]


_VALUES: dict[str, Callable[[Sequence[Prediction]], Values]] = {
    "class_probability": _probabilities,
    "present": _present,
    "mask": _masks,
    "rle": _codes,
    "verdict": _verdicts,
    "reason": _reasons,
}
"""Makes the values of each output; names as in ``outputs_of``."""
