"""Routes whose parameters FastAPI describes, but does not parse."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.routing import APIRoute

from service.api.parameters import DeadlineMs
from service.http.body_limit import DEADLINE_HEADER

Deadline = Annotated[
    DeadlineMs | None,
    Header(
        alias=DEADLINE_HEADER,
        description="Time for the answer in milliseconds; strips that cannot meet it are not run.",
        examples=[500],
    ),
]


class PlainRoute(APIRoute):
    """A route whose function takes the request alone and returns a Response.

    Its dependencies describe parameters in the OpenAPI document. They never run, so they must not guard
    anything: tests/service/api/test_plain_route.py. Running them costs 1.4 % of the throughput
    (docs/performance.md).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler
