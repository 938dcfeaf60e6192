"""Callers of the chaos run: good ones, some with bad files, some that leave; and what became of each."""

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
"""Seconds after which a caller that leaves has left: before, while and after its strip is answered."""


@dataclass(frozen=True)
class Strip:
    """A file with its right answer by each kind of model: an even version's, then an odd one's."""

    jpeg: bytes
    answers: tuple[tuple[ClassAnswer, ...], tuple[ClassAnswer, ...]]


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    kind: Kind
    life: int
    """Of the service: how often it had been started when the request was sent."""
    status: int | None
    """None: the caller left, or the connection broke."""
    seconds: float
    """From sending to the answer."""
    version: int | None = None
    """Of the model that answered."""
    right: bool | None = None
    """Whether the answer is the one wanted: that model's own, or the refusal of this bad file."""
    error: str | None = None
    """Of the connection."""


class Clients:
    """Sends requests, each as one of the three kinds of callers.

    Args:
        connections: to the service.
        url: of the service.
        key: for X-API-Key.
        deadline_ms: sent with each request.
        strips: what good callers send.
        life: tells how often the service has been started.
        seed: of what each caller does.
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
        # A connection that half a body was sent on must not be used again, even if an answer came.
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
        """Requests that have been sent and have not ended."""
        self.sent = 0

    async def ask(self) -> None:
        """Be one caller."""
        drawn = self._random.random()
        self.sent += 1
        self.open += 1
        try:
            if drawn < _BAD_SHARE:
                request, wanted = self._random.choice(self._bad)
                self.outcomes.append(
                    await self._send("bad file", request, lambda status, _: status == wanted)
                )
            elif drawn < _BAD_SHARE + _LEAVING_SHARE:
                self.outcomes.append(await self._leave(self._random.choice(self._abandoned)))
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
                status, body = await self._connections.ask(request)
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

    async def _leave(self, request: bytes) -> Outcome:
        """Send all, half or the headers alone, and hang up after a while, unless the answer comes first."""
        head = request.index(b"\r\n\r\n") + 4
        part = request[: self._random.choice([len(request), len(request), head, (head + len(request)) // 2])]
        life, sent = self._life(), time.perf_counter()
        asking = asyncio.ensure_future(self._connections.ask(part))
        await asyncio.wait([asking], timeout=self._random.uniform(0, _LONGEST_STAY))
        asking.cancel()
        error: str | None = None
        status: int | None = None
        with contextlib.suppress(asyncio.CancelledError):
            try:
                status, _ = await asking
            except (TimeoutError, OSError) as broken:
                error = type(broken).__name__
        return Outcome("leaves", life, status, time.perf_counter() - sent, error=error)
