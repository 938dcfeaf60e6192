"""Content codings: compressed bodies of requests, and compressed answers (RFC 9110, section 8.4)."""

import asyncio
import zlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InvalidParameterError, UnsupportedMediaTypeError
from service.http.problem_response import error_response

CODING_HEADER = "Content-Encoding"

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""As zlib names the formats; deflate is zlib's own, not the bare one that some programs send."""
_NAMES = {"x-gzip": "gzip"}
_PIECE_BYTES = 65_536
_LEVEL = 1
"""Masks are mostly zeros: higher levels take longer and save little."""


class Decompression:
    """ASGI middleware: inflates bodies while they arrive; inside of it they look as if they were sent so.

    It must be outside of ``BodyLimit``, which counts the bytes that come out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "POST":
            given = ",".join(Headers(scope=scope).getlist(CODING_HEADER))
            names = [name.strip().lower() for name in given.split(",")]
            codings = [name for name in names if name not in ("", "identity")]
            if codings:
                coding = _NAMES.get(codings[0], codings[0])
                if len(codings) > 1 or coding not in _WINDOW_BITS:
                    await self._refuse(given, scope, receive, send)
                    return
                raw_name = CODING_HEADER.lower().encode()
                scope["headers"] = [header for header in scope["headers"] if header[0] != raw_name]
                receive = _Inflater(coding, receive).receive
        await self._app(scope, receive, send)

    async def _refuse(self, given: str, scope: Scope, receive: Receive, send: Send) -> None:
        error = UnsupportedMediaTypeError(
            f"expected a {CODING_HEADER} of gzip, deflate or none, got {given[:80]!r}"
        )
        scope["state"]["error"] = error
        answer = error_response(error, scope)
        answer.headers["Accept-Encoding"] = ", ".join(_WINDOW_BITS)
        await answer(scope, receive, send)


class _Inflater:
    """Receives a compressed body; gives it away in pieces, however much a few bytes inflate to."""

    def __init__(self, coding: str, receive: Receive) -> None:
        self._coding = coding
        self._receive = receive
        self._decoder = zlib.decompressobj(_WINDOW_BITS[coding])
        self._waiting = b""
        self._full = False
        self._arrived = False
        self._done = False

    async def receive(self) -> Message:
        """Receive the next piece.

        Raises:
            InvalidParameterError: if the body is damaged or cut short.
        """
        while not self._done:
            piece = self._inflate()
            if piece:
                await asyncio.sleep(0)  # others run between the pieces of a large body
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._arrived:
                if not self._decoder.eof:
                    raise self._broken("it is cut short")
                self._done = True
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._waiting += message.get("body", b"")
            self._arrived = not message.get("more_body", False)
        return await self._receive()

    def _inflate(self) -> bytes:
        """Return the next piece of what has arrived; nothing if more has to arrive."""
        while self._waiting or self._full:
            if self._decoder.eof:
                if self._coding != "gzip":
                    raise self._broken("more follows its end")
                self._decoder = zlib.decompressobj(_WINDOW_BITS[self._coding])  # gzip files may be joined
            try:
                piece = self._decoder.decompress(self._waiting, _PIECE_BYTES)
            except zlib.error as error:
                raise self._broken(str(error).rpartition(": ")[2]) from error
            self._waiting = self._decoder.unconsumed_tail or self._decoder.unused_data
            self._full = len(piece) == _PIECE_BYTES and not self._decoder.eof
            if piece:
                return piece
        return b""

    def _broken(self, reason: str) -> InvalidParameterError:
        return InvalidParameterError(CODING_HEADER, f"the body is no {self._coding} data: {reason}")


def accepted_coding(header: str) -> str | None:
    """Return the coding that an ``Accept-Encoding`` prefers; None for a plain answer.

    Plain is the answer to what cannot be parsed, and to a header that forbids everything.
    """
    weights: dict[str, float] = {}
    for part in header.split(","):
        given, _, parameter = part.partition(";")
        name = given.strip().lower()
        try:
            weights[_NAMES.get(name, name)] = float(parameter.strip().lower().removeprefix("q=") or 1)
        except ValueError:
            return None
    best = max(_WINDOW_BITS, key=lambda coding: weights.get(coding, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def compress(body: bytes, coding: str) -> bytes:
    """Compress a body."""
    encoder = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[coding])
    return encoder.compress(body) + encoder.flush()
