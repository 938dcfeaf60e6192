"""An error as the answer to a request."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from service.errors import (
    RangeNotSatisfiableError,
    RequestTimeoutError,
    RetryableError,
    ServiceError,
    UnauthorizedError,
)
from service.problem import MEDIA_TYPE, Problem, problem_of


def error_response(error: ServiceError, scope: Mapping[str, Any]) -> JSONResponse:
    """Answer a request with an error.

    Args:
        error: the error.
        scope: of the request, with its id; without a path if there is no request yet.
    """
    headers: dict[str, str] = {}
    if isinstance(error, RetryableError):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "ApiKey"
    if isinstance(error, RangeNotSatisfiableError):
        headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, RequestTimeoutError):
        headers["Connection"] = "close"  # nothing waits for the rest of the body
    return problem_response(problem_of(error, scope["state"]["request_id"], v2=speaks_v2(scope)), headers)


def problem_response(problem: Problem, headers: Mapping[str, str] | None) -> JSONResponse:
    """Answer a request with a problem."""
    return JSONResponse(problem.model_dump(), problem.status, headers, media_type=MEDIA_TYPE)


def speaks_v2(scope: Mapping[str, Any]) -> bool:
    """Return whether the path of a request belongs to the Open Inference Protocol."""
    path = path_of(scope)
    return path == "/v2" or path.startswith("/v2/")


def path_of(scope: Mapping[str, Any]) -> str:
    """Return the path of a request without the prefix under which the application runs (ASGI's root_path)."""
    path, prefix = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and f"{path}/".startswith(f"{prefix}/") else path
