"""Exception handlers of the application: every error becomes a problem."""

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from service.api.parameters import invalid_parameter
from service.errors import ServiceError
from service.http.problem_response import error_response, problem_response, speaks_v2
from service.problem import Problem, problem_type


def add_error_handlers(app: FastAPI) -> None:
    """Add handlers of our errors, of wrong parameters, and of the framework's errors."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_service_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ServiceError):
        raise error
    request.state.error = error
    return error_response(error, request.scope)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return await _on_service_error(request, invalid_parameter(error.errors()))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is no {request.url.path} here; GET /docs lists all paths",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} does not work on {request.url.path}",
    }.get(status, str(error.detail))
    problem = Problem(
        type=problem_type(status.phrase),
        title=status.phrase,
        status=status,
        detail=detail,
        request_id=request.state.request_id,
        error=detail if speaks_v2(request.scope) else None,
    )
    return problem_response(problem, error.headers)
