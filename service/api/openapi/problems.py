"""Documented errors, with examples made by the code that answers them."""

from typing import Any

from service.errors import (
    DeadlineExceededError,
    ForbiddenError,
    InferenceError,
    InvalidImageError,
    InvalidParameterError,
    KeysRefusedError,
    ModelRefusedError,
    NotFoundError,
    PayloadTooLargeError,
    QueueFullError,
    ReloadRunningError,
    RequestTimeoutError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from service.problem import MEDIA_TYPE, Problem, problem_of

EXAMPLE_ID = "5b1f0b0c9d5e4f1f8a3c2d1e0f9a8b7c"
"""The request id of the examples."""

_DESCRIPTIONS = {
    401: "An API key is configured and `X-API-Key` is missing or wrong.",
    403: "No API key is configured, so no caller is allowed to do this.",
    404: "No model of this name or version serves.",
    408: "The body did not arrive in time.",
    409: "Another reload is running.",
    413: "Too many bytes, files, pixels or tiles.",
    415: "Not a supported image type or content coding.",
    422: "A parameter is wrong, or an image cannot be decoded or is too small.",
    429: "The queue is full; `Retry-After` says in how many seconds there should be room.",
    500: "Anything else; the service's log has the reason under the request id.",
    503: "Not ready yet, or shutting down; see `Retry-After`.",
    504: "The request's deadline passed; work that could not meet it was not started.",
}

_EXAMPLES: tuple[tuple[str, ServiceError], ...] = (
    ("no key", UnauthorizedError("X-API-Key is missing or wrong")),
    ("no key configured", ForbiddenError("the model can be reloaded only where an API key is configured")),
    (
        "another model",
        NotFoundError("there is no model 'steel' here; 'steel-unet-resnet18', version '3', serves"),
    ),
    ("slow sender", RequestTimeoutError("the body did not arrive in 10 s")),
    ("two at once", ReloadRunningError("another reload is running; retry when it has ended")),
    ("too many bytes", PayloadTooLargeError("expected a body of at most 33554432 bytes, got 50000000")),
    ("too many files", PayloadTooLargeError("expected at most 32 files, got more")),
    (
        "too many pixels",
        PayloadTooLargeError("expected at most 16000000 pixels, got a PNG of 16000x2560 = 40960000"),
    ),
    (
        "too many tiles",
        PayloadTooLargeError(
            "expected an image of at most 64 tiles of 1600x256 pixels, as many as may wait "
            "(STEEL_MAX_QUEUE_SIZE), got 8192x2816, 84 tiles"
        ),
    ),
    (
        "no image",
        UnsupportedMediaTypeError(
            "expected an image of type JPEG, PNG, BMP, TIFF, WEBP, got a file that begins with the bytes "
            "25 50 44 46 2d 31 2e 37"
        ),
    ),
    (
        "another coding",
        UnsupportedMediaTypeError("expected a Content-Encoding of gzip, deflate or none, got 'br'"),
    ),
    (
        "too small",
        InvalidImageError("expected an image of at least 1600x256 pixels, got a PNG of 800x600"),
    ),
    ("truncated", InvalidImageError("the JPEG cannot be decoded: Premature end of JPEG file")),
    (
        "wrong parameter",
        InvalidParameterError(
            "threshold",
            "threshold: expected one value or 4 separated by commas, each from 0 to 1, got '0.5,2'",
        ),
    ),
    ("busy", QueueFullError("64 strips are waiting already", 2)),
    ("a fault", InferenceError("never shown")),
    ("starting", UnavailableError("the model is being loaded", 2)),
    ("stopping", UnavailableError("the service is shutting down", 2)),
    ("too late", DeadlineExceededError("the deadline passed before the answer was ready")),
)


def error_answers(*statuses: int, v2: bool = False) -> dict[int | str, dict[str, Any]]:
    """Document error answers, with an example for each reason.

    Args:
        statuses: HTTP statuses.
        v2: whether they are answered below /v2.
    """
    return {
        status: _answer(
            _DESCRIPTIONS[status], {name: error for name, error in _EXAMPLES if error.status == status}, v2=v2
        )
        for status in statuses
    }


def model_refused() -> dict[int | str, dict[str, Any]]:
    """Document the answer to a reload whose model, or file of keys, is refused."""
    errors: dict[str, ServiceError] = {
        "no checksum": ModelRefusedError(
            "the model was not changed: models/steel/2/model.onnx has no checksum beside it"
        ),
        "no keys": KeysRefusedError("the file of API keys cannot be used, the log has the reason"),
    }
    return {422: _answer("The new model or the file of keys was refused; the old one stays.", errors)}


def _answer(description: str, errors: dict[str, ServiceError], *, v2: bool = False) -> dict[str, Any]:
    problems = {name: problem_of(error, EXAMPLE_ID, v2=v2) for name, error in errors.items()}
    examples = {name: {"summary": name, "value": problem.model_dump()} for name, problem in problems.items()}
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}
