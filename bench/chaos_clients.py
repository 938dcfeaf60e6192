"""Clients of the chaos run: with good files, with bad files, and with early disconnects."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from bench.connections import Connections, post
from bench.jobs import ClassAnswer

Kind = Literal["good", "bad file", "leaves"]

_BAD_SHARE, _LEAVING_SHARE = 0.1, 0.2
_TIMEOUT = 30.0
_LONGEST_STAY = 0.03
"""Longest time in seconds until a client disconnects: before, during or after the inference of its strip."""


@dataclass(frozen=True)
class Strip:
    """A file with the expected answer of each kind of model: even versions, then odd ones."""

    jpeg: bytes
    answers: tuple[tuple[ClassAnswer, ...], tuple[ClassAnswer, ...]]


@dataclass(frozen=True)
class Outcome:
    """Outcome of one request."""

    kind: Kind
    life: int
    """Number of starts of the service when the request was sent."""
    status: int | None
    """None: the client disconnected, or the connection broke."""
    seconds: float
    """From sending to the answer."""
    version: int | None = None
    """Version of the model that answered."""
    right: bool | None = None
    """Whether the answer is the expected one: of this model version, or the refusal of this bad file."""
    error: str | None = None
    """Error of the connection."""


class Clients:
    """Sender of requests, each as one of the three kinds of clients.

    Args:
        connections: connections to the service.
        url: URL of the service.
        key: value of X-API-Key.
        deadline_ms: deadline of each request.
        strips: good files.
        life: returns the number of starts of the service.
        seed: seed of the choice of clients.
    """

    def __init__(
        self,
        connections: Connections,
        url: str,
        key: str,
        deadline_ms: int,
        strips: Sequence[Strip],
        life: Callable[[], int],
        seed: int,
    ) -> None:
        self._connections = connections
        self._strips = strips
        self._life = life
        self._random = random.Random(seed)
        headers = {"X-API-Key": key, "X-Deadline-Ms": str(deadline_ms), "Content-Type": "image/jpeg"}

        def request(body: bytes, **more: str) -> bytes:
            return post(url, "/predict", headers | more, body)

        self._good = [request(strip.jpeg) for strip in strips]
        # A connection on which half a body was sent must not be reused, even if an answer came.
        self._abandoned = [request(strip.jpeg, Connection="close") for strip in strips]
        jpeg = strips[0].jpeg
        self._bad = [
            (request(b""), 422),
            (request(b"no image at all"), 415),
            (request(jpeg[: len(jpeg) // 2]), 422),
            (request(jpeg[:3] + bytes(2000)), 422),
        ]
        self.outcomes: list[Outcome] = []
        self.open = 0
        """Requests in flight."""
        self.sent = 0

    async def send_request(self) -> None:
        """Send one request as a random kind of client."""
        drawn = self._random.random()
        self.sent += 1
        self.open += 1
        try:
            if drawn < _BAD_SHARE:
                request, expected = self._random.choice(self._bad)
                self.outcomes.append(
                    await self._send("bad file", request, lambda status, _: status == expected)
                )
            elif drawn < _BAD_SHARE + _LEAVING_SHARE:
                self.outcomes.append(await self._disconnect(self._random.choice(self._abandoned)))
            else:
                index = self._random.randrange(len(self._good))
                self.outcomes.append(
                    await self._send("good", self._good[index], lambda _, body: self._is_right(index, body))
                )
        finally:
            self.open -= 1

    async def _send(self, kind: Kind, request: bytes, is_right: Callable[[int, bytes], bool]) -> Outcome:
        life, sent = self._life(), time.perf_counter()
        try:
            async with asyncio.timeout(_TIMEOUT):
                status, body = await self._connections.send(request)
        except (TimeoutError, OSError) as error:
            return Outcome(kind, life, None, time.perf_counter() - sent, error=type(error).__name__)
        seconds = time.perf_counter() - sent
        version = int(orjson.loads(body)["model"]["version"]) if status == 200 else None
        right = is_right(status, body) if kind == "bad file" or status == 200 else None
        return Outcome(kind, life, status, seconds, version, right)

    def _is_right(self, index: int, body: bytes) -> bool:
        reply = orjson.loads(body)
        found = tuple((one["present"], one["rle"]) for one in reply["images"][0]["classes"])
        return found == self._strips[index].answers[int(reply["model"]["version"]) % 2]

    async def _disconnect(self, request: bytes) -> Outcome:
        """Send all, half or only the headers, and disconnect after a while unless the answer comes first."""
        head = request.index(b"\r\n\r\n") + 4
        part = request[: self._random.choice([len(request), len(request), head, (head + len(request)) // 2])]
        life, sent = self._life(), time.perf_counter()
        sending = asyncio.ensure_future(self._connections.send(part))
        await asyncio.wait([sending], timeout=self._random.uniform(0, _LONGEST_STAY))
        sending.cancel()
        error: str | None = None
        status: int | None = None
        with contextlib.suppress(asyncio.CancelledError):
            try:
                status, _ = await sending
            except (TimeoutError, OSError) as broken:
                error = type(broken).__name__
        return Outcome("leaves", life, status, time.perf_counter() - sent, error=error)
