"""Limits on the bodies of requests: of each one, and of all in memory."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import PayloadTooLargeError, ServiceError, UnavailableError
from service.http.problem_response import error_response, path_of

DEADLINE_HEADER = "X-Deadline-Ms"


class BodyLimit:
    """ASGI middleware that refuses bodies before they are read, or while they arrive.

    Uploads are refused while the model could not take a single strip. Under overload most requests end here:
    to read, route and validate them would take processor time from those that were accepted.

    Bodies over the limit are refused by their announced length, or as they grow. When all bodies together
    exceed their limit, or would with the announced length of a new one, those of more than an equal share are
    refused, so that senders of large bodies cannot shut out strips.

    Args:
        app: the next application.
        max_bytes: of one body.
        max_buffered_bytes: of all bodies in memory.
        seconds: how long to read the rest of a refused body.
        upload_paths: of the routes that take strips, as the routes are declared.
        upload_refusal: returns the error for an upload, given the value of its ``X-Deadline-Ms``, or None.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        max_buffered_bytes: int,
        seconds: float,
        upload_paths: Collection[str] = (),
        upload_refusal: Callable[[str], ServiceError | None] = lambda _deadline_ms: None,
    ) -> None:
        self._app = app
        self._uploads = [(compile_path(path)[0], path) for path in upload_paths]
        self._upload_refusal = upload_refusal
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._max_held_bytes = max_buffered_bytes
        self._held = 0
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        announced = int(length) if length.isdigit() else 0
        error = self._refusal(announced)
        if error is None and scope.get("method") == "POST":
            error = self._upload_refusal(headers.get(DEADLINE_HEADER, ""))
            if error is not None:
                asked = path_of(scope)
                route = next((path for pattern, path in self._uploads if pattern.match(asked)), None)
                error = None if route is None else error
                scope["state"]["route"] = route
        if error is not None:
            scope["state"]["error"] = error
            if isinstance(error, PayloadTooLargeError) and "expect" not in headers:
                await self._discard(receive)
            await error_response(error, scope)(scope, receive, send)
            return
        # Reserve the announced length first, so that overload is detected before the body is read.
        held, received = announced, 0
        self._held += held
        self._bodies += 1

        async def counted() -> Message:
            nonlocal held, received
            message = await receive()
            received += len(message.get("body", b""))
            if received > held:
                self._held += received - held
                held = received
            if received > self._max_bytes:
                raise PayloadTooLargeError(f"expected a body of at most {self._max_bytes} bytes, got more")
            if self._held > self._max_held_bytes and received > self._max_held_bytes / self._bodies:
                raise _no_room()
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._bodies -= 1
            self._held -= held

    def _refusal(self, announced: int) -> ServiceError | None:
        """Return the error for a body of the announced length (0: none announced); None if there is room."""
        if announced > self._max_bytes:
            return PayloadTooLargeError(
                f"expected a body of at most {self._max_bytes} bytes, got {announced}"
            )
        share = self._max_held_bytes / (self._bodies + 1)
        if self._held + announced > self._max_held_bytes and announced > share:
            return _no_room()
        return None

    async def _discard(self, receive: Receive) -> None:
        """Read on within limits: many clients read an answer only after they have sent everything.

        A client that sent ``Expect: 100-continue`` has not sent the body, and gets its answer instead.
        """
        left = 4 * self._max_bytes
        with contextlib.suppress(TimeoutError, ServiceError):  # what is refused may be damaged, too
            async with asyncio.timeout(self._seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def _no_room() -> UnavailableError:
    return UnavailableError("the service holds too many bytes of other requests", retry_after=1)
