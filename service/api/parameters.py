"""Query parameters and headers of a request, read without FastAPI, described by it all the same."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from service.errors import InvalidParameterError

Q = TypeVar("Q", bound=BaseModel)

DEADLINE_HEADER = "X-Deadline-Ms"
DeadlineMs = Annotated[int, Field(ge=1, le=86_400_000)]
Deadline = Annotated[
    DeadlineMs | None,
    Header(
        alias=DEADLINE_HEADER,
        description="Milliseconds in which the answer is wanted; strips that cannot make it are not run.",
        examples=[500],
    ),
]

_DEADLINE_MS: TypeAdapter[int] = TypeAdapter(DeadlineMs)


class PlainRoute(APIRoute):
    """A route whose function takes the request alone, and answers a Response.

    Its dependencies describe parameters in the OpenAPI document; they never run, and must not guard anything.
    To run them is a noticeable part of what a strip costs beside its model (docs/performance.md).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def read_query(request: Request, model: type[Q]) -> Q:
    """Read the query parameters; of one that comes twice, the last, as FastAPI does.

    Raises:
        InvalidParameterError: if one has a value that is not allowed, or is not known.
    """
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise invalid_parameter(error.errors()) from error


def read_deadline(request: Request) -> int | None:
    """Read the milliseconds in which the answer is wanted; None if the caller does not say.

    Raises:
        InvalidParameterError: if that is no whole number, or out of range.
    """
    text = request.headers.get(DEADLINE_HEADER)
    if text is None:
        return None
    try:
        return _DEADLINE_MS.validate_python(text)
    except ValidationError as error:
        raise invalid_parameter(error.errors(), DEADLINE_HEADER) from error


def invalid_parameter(errors: Any, name: str | None = None) -> InvalidParameterError:
    """Say of the first of pydantic's errors what is allowed.

    Args:
        errors: as pydantic and FastAPI list them.
        name: of the parameter, unless the error knows it.
    """
    first = errors[0]
    name = str(first["loc"][-1]) if name is None else name
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such parameter"
    return InvalidParameterError(name, f"{name}: {message}")
