"""uvicorn's HTTP protocol with limits that hold before there is a request."""

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import (
    BadRequestError,
    HeadTooLargeError,
    RequestTimeoutError,
    ServiceError,
    UnavailableError,
)
from service.problems import MEDIA_TYPE, problem_of
from service.security_headers import add_security_headers


@dataclass(frozen=True)
class ConnectionLimits:
    """What one connection, and all of them, may take."""

    max_connections: int
    """More are refused with 503."""
    max_head_bytes: int
    """Request line and headers; more is refused with 431."""
    head_seconds: float
    """In which a request's head has to arrive; also for the first byte of a new connection."""


def guarded_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """Build the protocol class for ``uvicorn.Config(http=…)``.

    uvicorn itself waits for ever for a head that does not end, in any length, and answers broken requests
    in plain text.
    """
    too_large = f"the request line and headers have more than {limits.max_head_bytes} bytes, the most taken"

    class GuardedProtocol(HttpToolsProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._timer: asyncio.TimerHandle | None = None
            self._in_head = True
            self._came = 0  # bytes since the head began, counted by what arrives
            self._named = 0  # the same by what the parser made of it

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.max_connections:
                self._refuse(UnavailableError(f"{limits.max_connections} connections are open already", 1))
            else:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if self._idle and self._timer is None:
                self._expect_head()
            if self._in_head:
                self._came += len(data)
            super().data_received(data)
            if self._in_head and self._came > limits.max_head_bytes:
                self._refuse(HeadTooLargeError(too_large))

        def on_message_begin(self) -> None:
            self._in_head, self._named = True, 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._in_head, self._came = False, 0
            self._stop_timer()
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:
            named_too_much = self._named > limits.max_head_bytes
            self._refuse(HeadTooLargeError(too_large) if named_too_much else BadRequestError(msg))

        def _count(self, size: int) -> None:
            """Stop the parser at what is too much; it ends in ``send_400_response``."""
            self._named += size
            if self._named > limits.max_head_bytes:
                raise HeadTooLargeError(too_large)

        @property
        def _idle(self) -> bool:
            cycle: RequestResponseCycle | None = self.cycle  # None at first, whatever its type says
            return cycle is None or cycle.response_complete

        def _expect_head(self) -> None:
            self._timer = self.loop.call_later(limits.head_seconds, self._too_slow)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            self._timer = None
            if self._idle and not self.transport.is_closing():
                self._refuse(
                    RequestTimeoutError(f"the request's head did not arrive in {limits.head_seconds:g} s")
                )

        def _refuse(self, error: ServiceError) -> None:
            """Answer, unless an answer is on its way already, and hang up."""
            if not self.transport.is_closing():
                if self._idle or not self.cycle.response_started:
                    self.transport.write(_answer(error))
                self.transport.close()

    return GuardedProtocol


def _answer(error: ServiceError) -> bytes:
    body = json.dumps(problem_of(error).model_dump(exclude_none=True)).encode()
    headers = add_security_headers(
        [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
    )
    head = f"HTTP/1.1 {int(error.status)} {HTTPStatus(error.status).phrase}\r\n".encode()
    return head + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + body
