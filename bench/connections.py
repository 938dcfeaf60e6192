"""A cheap HTTP/1.1 client with persistent connections.

The generator shares the processors with the server under test, so a client library's cost would reduce the
server's throughput. Requests are bytes prepared in advance; replies are parsed by httptools (llhttp).
"""

import asyncio
from typing import Self, cast
from urllib.parse import urlsplit

import httptools


class Connections:
    """A pool with one connection per concurrent request; an async context manager.

    Args:
        url: URL of the server.
        timeout: seconds per request.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or 80
        self._timeout = timeout
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._all:
            connection.close()

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a complete request; return status and body of the reply.

        Raises:
            OSError: if the connection cannot be made or breaks.
            TimeoutError: if there is no complete reply in time.
        """
        async with asyncio.timeout(self._timeout):
            connection = await self._take()
            try:
                reply = await connection.send(request)
            except BaseException:
                self._all.discard(connection)
                connection.close()
                raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            self._all.discard(connection)
        return reply

    async def _take(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            self._all.discard(connection)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        self._all.add(connection)
        return connection


def post(url: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a complete POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self.reusable = True

    def send(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        if self._transport is None:
            raise ConnectionError("not connected")
        self._reply = asyncio.get_running_loop().create_future()
        self._body.clear()
        self._transport.write(request)
        return self._reply

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base class

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._fail(ConnectionError(f"invalid HTTP: {error!r}"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        # A new parser, because httptools keeps state after some replies.
        self._parser = httptools.HttpResponseParser(self)
        if self._reply is not None and not self._reply.done():
            self._reply.set_result((status, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
