"""Errors as RFC 9457 application/problem+json, one shape everywhere."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from service.api.parameters import invalid_parameter
from service.api.schemas import Problem
from service.errors import (
    InvalidParameterError,
    RequestTimeoutError,
    RetryableError,
    ServiceError,
    UnauthorizedError,
)

MEDIA_TYPE = "application/problem+json"


def problem_of(error: ServiceError, request_id: str | None = None, *, v2: bool = False) -> Problem:
    """Describe an error to the caller; what went wrong inside stays inside.

    Args:
        error: the error.
        request_id: of the request.
        v2: whether the Open Inference Protocol is spoken, whose clients read ``error``.
    """
    detail = error.detail
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "the service failed on this request; its log has the reason under the request id"
    extra = {"parameter": error.name} if isinstance(error, InvalidParameterError) else {}
    return Problem(
        type=_urn(error.title),
        title=error.title,
        status=error.status,
        detail=detail,
        request_id=request_id,
        error=detail if v2 else None,
        **extra,
    )


def respond(error: ServiceError, scope: Mapping[str, Any]) -> JSONResponse:
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
    if isinstance(error, RequestTimeoutError):
        # The rest of the body will not be waited for.
        headers["Connection"] = "close"
    return _response(problem_of(error, scope["state"]["request_id"], v2=_speaks_v2(scope)), headers)


def _speaks_v2(scope: Mapping[str, Any]) -> bool:
    path = str(scope.get("path", ""))
    return path == "/v2" or path.startswith("/v2/")


def _response(problem: Problem, headers: Mapping[str, str] | None) -> JSONResponse:
    return JSONResponse(problem.model_dump(exclude_none=True), problem.status, headers, media_type=MEDIA_TYPE)


async def on_service_error(request: Request, error: Exception) -> JSONResponse:
    """Answer our own refusals."""
    if not isinstance(error, ServiceError):
        raise error
    request.state.error = error
    return respond(error, request.scope)


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a wrong query parameter or header: its name and what is allowed."""
    if not isinstance(error, RequestValidationError):
        raise error
    return await on_service_error(request, invalid_parameter(error.errors()))


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses: no such route, wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is no {request.url.path} here; GET /docs lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} does not work on {request.url.path}",
    }.get(status, str(error.detail))
    problem = Problem(
        type=_urn(status.phrase),
        title=status.phrase,
        status=status,
        detail=detail,
        request_id=request.state.request_id,
        error=detail if _speaks_v2(request.scope) else None,
    )
    return _response(problem, error.headers)


def _urn(title: str) -> str:
    return f"urn:steel:problem:{title.lower().replace(' ', '-')}"
