"""Request ids, log lines, metrics, and answers to uncaught exceptions."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ClientLeftError, InferenceError, ServiceError, forget_frames
from service.http.problem_response import error_response
from service.http.security_headers import SECURITY_HEADERS
from service.observability.metrics import Metrics

_log = structlog.get_logger()
_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")


class ExceptionAnswers:
    """ASGI middleware: answers uncaught exceptions; inside of CORS, which adds its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] != "http":
                raise
            scope["state"]["error"] = error
            if not begun:
                await error_response(InferenceError(str(error)), scope)(scope, receive, send)


class RequestContext:
    """ASGI middleware: gives each request an id, logs one line and counts; the outermost."""

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
                headers = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                # A page has a content security policy of its own.
                headers.extend(header for header in SECURITY_HEADERS if header[0] not in names)
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        # Routes of GET answer HEAD too; uvicorn itself omits the body (RFC 9110, section 9.3.2).
        asked = _as_get(scope) if scope["method"] == "HEAD" else scope
        try:
            await self._app(asked, receive, send_with_id)
        finally:
            route = str(getattr(asked.get("route"), "path", state.get("route") or "unknown"))
            self._record(scope, route, status, time.perf_counter() - started)
            if isinstance(state.get("error"), ServiceError):
                forget_frames(state["error"])

    def _record(self, scope: Scope, route: str, status: int | None, seconds: float) -> None:
        # Unknown paths share one label, so that callers cannot create series.
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
            _log.debug("request", **fields)  # polled every few seconds
        else:
            _log.info("request", **fields)


def _as_get(scope: Scope) -> Scope:
    """Return a HEAD request as the GET request that it asks about, without ``Range`` (RFC 9110, 14.2)."""
    headers = [header for header in scope["headers"] if header[0] != b"range"]
    return {**scope, "method": "GET", "headers": headers}
