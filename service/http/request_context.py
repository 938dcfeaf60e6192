"""Around every request: an id, a log line, metrics, a limit on the body, and no error that escapes."""

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable, Collection

import structlog
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.error_handlers import respond
from service.errors import (
    ClientLeftError,
    InferenceError,
    PayloadTooLargeError,
    ServiceError,
    UnavailableError,
)
from service.http.security_headers import add_security_headers
from service.observability.metrics import Metrics

_log = structlog.get_logger()
_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")


class RequestContext:
    """Gives each request an id, answers what nothing else caught, logs one line and counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status: int | None = None
        started = time.perf_counter()
        self._metrics.received.inc()
        self._metrics.in_progress.inc()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = add_security_headers(message.get("headers", ()))
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            state["error"] = error
            if status is None:
                await respond(InferenceError(str(error)), scope)(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int | None, seconds: float) -> None:
        # Unknown paths share one label: callers must not be able to create series.
        route = str(getattr(scope.get("route"), "path", scope["state"].get("route", "unknown")))
        left = scope["state"].get("left", False)
        self._metrics.in_progress.dec()
        self._metrics.requests.labels(route, "left" if left else str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        error = scope["state"].get("error")
        if isinstance(error, ServiceError) and not isinstance(error, ClientLeftError):
            self._metrics.refusals.labels(error.title).inc()
        fields = {
            "request_id": scope["state"]["request_id"],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 6),
            "client": (scope.get("client") or ("",))[0],
            **scope["state"].get("log", {}),
        }
        if error is not None:
            fields["error"] = str(error)
        if left:
            fields["left"] = True
        if status == 500:
            _log.error("request", exc_info=error, **fields)
        elif route.startswith(("/health", "/metrics", "/v2/health")) or route.endswith("/ready"):
            _log.debug("request", **fields)  # asked every few seconds
        else:
            _log.info("request", **fields)


class Admission:
    """Refuses uploads while nobody could be served, before anything is spent on them.

    Under overload most requests end here. Reading, routing and validating them would take processor time
    from those that were accepted.

    Args:
        app: what comes behind.
        paths: of the routes that take uploads, as the routes are declared.
        refusal: answers why no upload can be taken now, or None.
    """

    def __init__(
        self, app: ASGIApp, paths: Collection[str], refusal: Callable[[], ServiceError | None]
    ) -> None:
        self._app = app
        self._routes = [(compile_path(path)[0], path) for path in paths]
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "POST":
            error = self._refusal()
            route = self._route(scope["path"]) if error is not None else None
            if error is not None and route is not None:
                scope["state"]["error"] = error
                scope["state"]["route"] = route
                await respond(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _route(self, path: str) -> str | None:
        return next((route for pattern, route in self._routes if pattern.match(path)), None)


class BodyLimit:
    """Refuses a body over the limit: by its announced length, or while it arrives.

    When all bodies together are over theirs, or would be with one that announces its length, those of more
    than an equal share are refused, so that senders of large bodies cannot shut out strips.

    FastAPI reads a whole upload before any dependency runs, so this has to stand in front of it.

    Args:
        app: what comes behind.
        max_bytes: of one body.
        max_buffered_bytes: of all bodies that are held at once.
        seconds: for which the rest of a refused body is read.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_buffered_bytes: int, seconds: float) -> None:
        self._app = app
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
        length = Headers(scope=scope).get("content-length", "0")
        announced = int(length) if length.isdigit() else 0
        error = self._refusal(announced)
        if error is not None:
            scope["state"]["error"] = error
            if isinstance(error, PayloadTooLargeError) and "expect" not in Headers(scope=scope):
                await self._discard(receive)
            await respond(error, scope)(scope, receive, send)
            return
        # What is announced is held from the start: to find out that there is no room costs reading.
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
                raise PayloadTooLargeError(f"the body has more than {self._max_bytes} bytes, the most taken")
            if self._held > self._max_held_bytes and received > self._max_held_bytes / self._bodies:
                raise _no_room()
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._bodies -= 1
            self._held -= held

    def _refusal(self, announced: int) -> ServiceError | None:
        """Say why a body of the announced length cannot be taken; None if it can, or says no length."""
        if announced > self._max_bytes:
            return PayloadTooLargeError(
                f"the body has {announced} bytes; at most {self._max_bytes} are taken"
            )
        share = self._max_held_bytes / (self._bodies + 1)
        if self._held + announced > self._max_held_bytes and announced > share:
            return _no_room()
        return None

    async def _discard(self, receive: Receive) -> None:
        """Let a client finish sending, within bounds: many look for an answer only afterwards.

        One that sent ``Expect: 100-continue`` waits for leave to send, and gets its answer instead.
        """
        left = 4 * self._max_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def _no_room() -> UnavailableError:
    return UnavailableError("too many bytes of other requests are held", retry_after=1)
