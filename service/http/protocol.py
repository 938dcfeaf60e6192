"""uvicorn's HTTP protocol with limits that hold before there is a request."""

import asyncio
import sys
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.error_handlers import respond
from service.errors import (
    BadRequestError,
    HeadTooLargeError,
    RequestTimeoutError,
    ServiceError,
    UnavailableError,
)
from service.http.security_headers import add_security_headers
from service.observability.metrics import Metrics

_log = structlog.get_logger()
_LINGER_SECONDS = 2
"""To read on after a refusal: a connection closed with unread bytes is reset, and the answer with it."""
_MAX_PIPELINED = 16
"""Requests that came before their turn; uvicorn keeps whatever one read brought, some 10,000."""


@dataclass(frozen=True)
class ConnectionLimits:
    """What one connection, and all of them, may take; times in seconds."""

    max_connections: int
    """More are refused with 503."""
    max_head_bytes: int
    """Request line and headers; more is refused with 431. The same holds for a trailer."""
    head_seconds: float
    """In which a request's head has to arrive; also for the first byte of a new connection."""
    body_seconds: float
    """For the rest of a body whose request was answered before it had come."""
    idle_seconds: float
    """Between an answer and the next request."""


def guarded_protocol(limits: ConnectionLimits, metrics: Metrics) -> type[HttpToolsProtocol]:
    """Build the protocol class for ``uvicorn.Config(http=…)``.

    uvicorn itself waits for ever for a head that does not end, in any length, and answers broken requests
    in plain text.
    """

    class Guarded(GuardedProtocol):
        pass

    Guarded.limits = limits
    Guarded.metrics = metrics
    return Guarded


class GuardedProtocol(HttpToolsProtocol):
    """One connection; see ``guarded_protocol``.

    One timer runs at any moment, except while the application works on a request (its body has a limit of its
    own). Bytes never extend it; only a head that begins, or ends, does.
    """

    limits: ConnectionLimits
    metrics: Metrics

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._body_open = False
        self._close_after = False
        self._progress = False
        self._stalled_bytes = 0
        self._trailer_bytes = 0
        self._refusal: ServiceError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        most = self.limits.max_connections
        if len(self.connections) > 2 * most:  # those that linger after a refusal count too
            transport.abort()
        elif len(self.connections) > most:
            self._refuse(UnavailableError(f"{most} connections are open already", retry_after=1))
        else:
            self._allow(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the connection was refused already."""
        if self._refusal is not None:
            return
        self._progress = False
        super().data_received(data)
        # The parser keeps a header, or a trailer, until its end: it must not grow for ever.
        self._stalled_bytes = 0 if self._progress else self._stalled_bytes + len(data)
        if self._stalled_bytes > self.limits.max_head_bytes and self._refusal is None:
            self._refuse(self._too_large())

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or one of the checks below, stumbled over."""
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        if isinstance(cause, ServiceError):
            self._refuse(cause)
        else:
            self._refuse(BadRequestError(f"{msg.removesuffix('.')}: {error}"))

    def on_message_begin(self) -> None:
        """Start the clock for the head of a request."""
        super().on_message_begin()
        self._in_head = True
        self._trailer_bytes = 0
        if not self._answering():
            self._allow(self.limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; drop a trailer, which nobody reads and uvicorn would keep."""
        if self._in_head:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > self.limits.max_head_bytes:
            raise self._too_large()

    def on_headers_complete(self) -> None:
        """Check a whole head and hand it on."""
        self._progress, self._in_head = True, False
        self._check_head()
        if not self._answering():
            self._stop_timer()
        super().on_headers_complete()
        self._body_open = True
        # Closing before the whole body came would reset the connection: see on_response_complete.
        self._close_after = not self.cycle.keep_alive
        self.cycle.keep_alive = True
        if self.expect_100_continue:
            # Refused without a 100, the caller may or may not send the body: nothing can follow it.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request came whole."""
        self._progress, self._body_open = True, False
        super().on_message_complete()
        if not self.cycle.response_complete:
            if self._close_after:
                self.cycle.keep_alive = False
        elif self._close_after:
            self.transport.close()
        else:
            self._allow(self.limits.idle_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of the body of this one."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the timer here does that, and is stopped when a peer resets
        if self.transport.is_closing() or self._answering():
            return
        if self._refusal is not None:
            self._answer(self._refusal)
        elif self._body_open:
            # Many clients look for an answer only when they have sent everything.
            self._allow(self.limits.body_seconds)
        elif self._close_after:
            self.transport.close()
        else:
            self._allow(self.limits.head_seconds if self._in_head else self.limits.idle_seconds)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a request that asks for another protocol is answered in this one."""

    def _check_head(self) -> None:
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            hosts += name == b"host"
        if size > self.limits.max_head_bytes:
            raise self._too_large()
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequestError(f"this is HTTP/{version}; HTTP/1.1 is wanted")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise BadRequestError(f"{hosts} Host headers came; exactly 1 is wanted")
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise BadRequestError(f"more than {_MAX_PIPELINED} requests came before their answers")

    def _too_large(self) -> HeadTooLargeError:
        most = self.limits.max_head_bytes
        return HeadTooLargeError(f"the request line and headers have more than {most} bytes, the most taken")

    def _answering(self) -> bool:
        """Whether a request that came whole, or one before it, still waits for its answer."""
        return (self._unanswered() and not self._body_open) or bool(self.pipeline)

    def _unanswered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None at first, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _allow(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        first: RequestResponseCycle | None = self.cycle
        if self._refusal is None and (self._in_head or first is None):
            seconds = self.limits.head_seconds
            self._refuse(RequestTimeoutError(f"the request's head did not arrive in {seconds:g} s"))
        else:
            self.transport.close()

    def _refuse(self, error: ServiceError) -> None:
        """Read no further; answer now, or behind the requests that came whole."""
        self._refusal = error
        if not self._answering():
            self._answer(error)

    def _answer(self, error: ServiceError) -> None:
        if self._body_open and not self._unanswered():
            self.transport.close()  # the request had its answer; this is about the rest of its body
            return
        request_id = uuid.uuid4().hex
        response = respond(error, {"state": {"request_id": request_id}})
        headers = add_security_headers(
            [
                *((name, value) for name, value in response.raw_headers if name != b"connection"),
                (b"x-request-id", request_id.encode()),
                (b"connection", b"close"),
            ]
        )
        head = f"HTTP/1.1 {int(error.status)} {HTTPStatus(error.status).phrase}\r\n".encode()
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(head + lines + b"\r\n" + bytes(response.body))
        if self._unanswered():
            self.cycle.disconnected = True  # the application may stop
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._allow(_LINGER_SECONDS)
        self.metrics.received.inc()
        self.metrics.requests.labels("unknown", str(int(error.status))).inc()
        self.metrics.refusals.labels(error.title).inc()
        client = self.client[0] if self.client else ""
        _log.info("refused", request_id=request_id, status=error.status, error=error.detail, client=client)
