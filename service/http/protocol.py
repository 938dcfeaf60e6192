"""uvicorn's HTTP protocol with limits that hold before there is a request."""

import asyncio
import math
import sys
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import (
    BadRequestError,
    HeadTooLargeError,
    RequestTimeoutError,
    ServiceError,
    UnavailableError,
    forget_frames,
)
from service.http.problem_response import error_response
from service.http.request_head import (
    OPENING_BYTES,
    check_host,
    check_target,
    foreign_protocol,
)
from service.http.security_headers import SECURITY_HEADERS
from service.http.upgrade import IgnoringUpgrade
from service.observability.metrics import Metrics

_log = structlog.get_logger()
_LINGER_SECONDS = 2
"""Time to read on after a refusal: to close with unread bytes resets the connection, and loses the answer."""
_DRAIN_SECONDS = 3
"""The same as ``write_seconds`` once the service shuts down."""
_HEALTH_PATHS = (b"/health/", b"/v2/health/", b"/metrics")
_HEALTH_CONNECTIONS = 8
"""Connections beyond the limit, for health checks alone."""
_MAX_PIPELINED = 16
"""Most pipelined requests per connection; uvicorn queues all that one read brings, about 10,000."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one connection, and of all together; times in seconds."""

    max_connections: int
    """More are refused with 503."""
    max_head_bytes: int
    """Request line and headers; more is refused with 431. The same holds for a trailer."""
    head_seconds: float
    """Time for a request's head to arrive, and for the first byte of a new connection."""
    body_seconds: float
    """Time for the rest of a body whose request was answered before it had arrived."""
    idle_seconds: float
    """Time between an answer and the next request."""
    write_seconds: float
    """Time in which a client must read what is kept for it, some 64 KiB; one that does not is cut off."""


def guarded_protocol(limits: ConnectionLimits, metrics: Metrics) -> type[HttpToolsProtocol]:
    """Build the protocol class for ``uvicorn.Config(http=…)``.

    uvicorn alone waits without limit for a head that does not end, whatever its length, and answers broken
    requests in plain text.
    """

    class Guarded(GuardedProtocol):
        pass

    Guarded.limits = limits
    Guarded.metrics = metrics
    return Guarded


class GuardedProtocol(IgnoringUpgrade):
    """One connection; see ``guarded_protocol``.

    One timer runs at any moment, except while the application works on a request (its body has a limit of its
    own). Bytes never extend it; only the beginning or end of a head does. Another one runs while the client
    leaves data unread.
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
        self._opening = b""
        self._for_health = False
        self._write_timer: asyncio.TimerHandle | None = None
        self._write_seconds = self.limits.write_seconds
        self._refusal: ServiceError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        most = self.limits.max_connections
        beyond = len(self.connections) - most
        if beyond > most + _HEALTH_CONNECTIONS:  # those that linger after a refusal count too
            transport.abort()
        elif beyond > _HEALTH_CONNECTIONS:
            self._refuse(self._too_many())
        else:
            self._for_health = beyond > 0
            self._allow(min(self.limits.head_seconds, _LINGER_SECONDS if self._for_health else math.inf))

    def _too_many(self) -> UnavailableError:
        most = self.limits.max_connections
        return UnavailableError(f"{most} connections are open already", retry_after=1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of a connection that has ended."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the clock for a client that leaves data unread."""
        super().pause_writing()
        self._cut_off_after(self._write_seconds)

    def resume_writing(self) -> None:
        """Stop the clock: the client has read enough."""
        self._stop_write_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection, or let it finish its request; give a client less time to read."""
        super().shutdown()
        self._write_seconds = min(self._write_seconds, _DRAIN_SECONDS)
        if self.flow.write_paused or self.transport.is_closing():
            self._cut_off_after(self._write_seconds)

    def _cut_off_after(self, seconds: float) -> None:
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _close(self) -> None:
        """Close when all is sent, or when the client has had time to read it."""
        self.transport.close()
        self._cut_off_after(self._write_seconds)

    def data_received(self, data: bytes) -> None:
        """Parse data, unless the connection was refused already."""
        if self._refusal is not None:
            return
        self._progress = False
        if len(self._opening) < OPENING_BYTES:
            self._opening += data[:OPENING_BYTES]
        super().data_received(data)
        # The parser buffers a header, or a trailer, until its end: it must not grow without limit.
        self._stalled_bytes = 0 if self._progress else self._stalled_bytes + len(data)
        if self._stalled_bytes > self.limits.max_head_bytes and self._refusal is None:
            self._refuse(self._too_large())

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that the parser, or one of the checks below, rejected."""
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        if isinstance(cause, ServiceError):
            self._refuse(cause)
        elif (foreign := self._foreign_protocol()) is not None:
            self._refuse(BadRequestError(_not_http(foreign)))
        elif isinstance(error, httptools.HttpParserInvalidURLError):
            self._refuse(BadRequestError(f"expected a path such as /predict: {error}"))
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
        """Keep a header; drop a trailer, which the application never reads and uvicorn would keep."""
        if self._in_head:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > self.limits.max_head_bytes:
            raise self._too_large()

    def on_headers_complete(self) -> None:
        """Check a complete head and pass it on, unless it is parsed again without its upgrade."""
        self._progress, self._in_head = True, False
        if self._parse_again():
            return
        self._check_head()
        if not self._answering():
            self._stop_timer()
        super().on_headers_complete()
        self._body_open = True
        # Closing before the body is complete would reset the connection: see on_response_complete.
        self._close_after = self._for_health or not self.cycle.keep_alive
        self.cycle.keep_alive = True
        if self.expect_100_continue:
            # Refused without a 100, the client may or may not send the body: no request can follow.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Record that a request has arrived completely."""
        if self._replay:
            return
        self._progress, self._body_open = True, False
        super().on_message_complete()
        if not self.cycle.response_complete:
            if self._close_after:
                self.cycle.keep_alive = False
        elif self._close_after:
            self._close()
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
            # Many clients read an answer only after they have sent everything.
            self._allow(self.limits.body_seconds)
        elif self._close_after:
            self._close()
        else:
            self._allow(self.limits.head_seconds if self._in_head else self.limits.idle_seconds)

    def _check_head(self) -> None:
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts, host = hosts + 1, value
        if size > self.limits.max_head_bytes:
            raise self._too_large()
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequestError(_not_http(f"HTTP/{version}"))
        if (foreign := self._foreign_protocol()) is not None:
            raise BadRequestError(_not_http(foreign))
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise BadRequestError(f"expected exactly 1 Host header, got {hosts}")
        if hosts:
            check_host(host)
        check_target(self.parser.get_method(), self.url)
        if self._for_health and not self.url.startswith(_HEALTH_PATHS):
            raise self._too_many()
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise BadRequestError(
                f"expected at most {_MAX_PIPELINED} requests before their answers, got more"
            )

    def _foreign_protocol(self) -> str | None:
        """Return the name of another protocol that the connection's first request belongs to, or None."""
        first: RequestResponseCycle | None = self.cycle
        return foreign_protocol(self._opening) if first is None else None

    def _too_large(self) -> HeadTooLargeError:
        most = self.limits.max_head_bytes
        return HeadTooLargeError(f"expected a request line and headers of at most {most} bytes, got more")

    def _answering(self) -> bool:
        """Return whether a request that arrived completely, or one before it, still waits for its answer."""
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
            self._close()

    def _refuse(self, error: ServiceError) -> None:
        """Stop reading; answer now, or after the requests that have arrived completely."""
        forget_frames(error)
        self._refusal = error
        if not self._answering():
            self._answer(error)

    def _answer(self, error: ServiceError) -> None:
        if self._body_open and not self._unanswered():
            self._close()  # the request was answered; this concerns the rest of its body
            return
        request_id = uuid.uuid4().hex
        path = self.url.partition(b"?")[0].decode("latin-1")
        response = error_response(error, {"path": path, "state": {"request_id": request_id}})
        headers = [
            *((name, value) for name, value in response.raw_headers if name != b"connection"),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *SECURITY_HEADERS,
        ]
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


def _not_http(protocol: str) -> str:
    return f"expected HTTP/1.1, got {protocol}"
