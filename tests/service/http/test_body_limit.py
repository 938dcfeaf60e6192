"""Limits of bodies, by their announced length and while they arrive."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.errors import ServiceError
from service.http.body_limit import BodyLimit

pytestmark = pytest.mark.anyio

Answer = tuple[int, dict[str, object]]


async def read_all(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read a body, and answer its length or an error."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"size": size}).encode()})


async def call(limit: BodyLimit, pieces: AsyncIterator[bytes], *headers: tuple[bytes, bytes]) -> Answer:
    """Send a body in pieces, and return the status and body of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/predict", "headers": list(headers), "state": {"request_id": "1"}}
    await limit(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_may_have_the_limit() -> None:
    limit = BodyLimit(read_all, max_bytes=10, max_buffered_bytes=20, seconds=1)
    assert await call(limit, pieces(b"12345", b"67890")) == (200, {"size": 10})
    assert await call(limit, pieces(b"1234567890"), (b"content-length", b"10")) == (200, {"size": 10})


@pytest.mark.parametrize("announced", [[], [(b"content-length", b"3")], [(b"content-length", b"soon")]])
async def test_a_body_is_stopped_when_it_exceeds_the_limit(announced: list[tuple[bytes, bytes]]) -> None:
    limit = BodyLimit(read_all, max_bytes=10, max_buffered_bytes=20, seconds=1)
    body = pieces(b"1234567890", b"1", b"never read")
    with pytest.raises(ServiceError, match="at most 10 bytes, got more") as caught:
        await call(limit, body, *announced)
    assert caught.value.status == 413
    assert await anext(body) == b"never read"
    assert await call(limit, pieces(b"1234567890")) == (200, {"size": 10})


@pytest.mark.parametrize(
    ("headers", "read"), [([], True), ([(b"expect", b"100-continue")], False)], ids=["sent", "expects"]
)
async def test_an_announced_body_over_the_limit_is_discarded_unless_it_is_not_sent_yet(
    headers: list[tuple[bytes, bytes]], read: bool
) -> None:
    limit = BodyLimit(read_all, max_bytes=10, max_buffered_bytes=20, seconds=1)
    body = pieces(b"x" * 11)
    status, problem = await call(limit, body, (b"content-length", b"11"), *headers)
    assert (status, problem["detail"]) == (413, "expected a body of at most 10 bytes, got 11")
    assert (await anext(body, b"") == b"") is read


@pytest.mark.parametrize("endless", [True, False])
async def test_a_body_is_discarded_within_a_time_and_a_size(endless: bool) -> None:
    limit = BodyLimit(read_all, max_bytes=10, max_buffered_bytes=20, seconds=0.1)
    count = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal count
        while True:
            count += 1
            yield b"12345"
            await asyncio.sleep(0 if endless else 10)

    async with asyncio.timeout(5):
        status, _ = await call(limit, body(), (b"content-length", b"11"))
    assert status == 413
    assert count == (8 if endless else 1)  # four times the limit at most


async def hold(limit: BodyLimit, size: int, act: Callable[[], Awaitable[None]]) -> Answer:
    """Send a body, and act before it ends."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * size
        await act()

    return await call(limit, body())


async def test_large_bodies_are_refused_when_all_together_exceed_their_limit() -> None:
    limit = BodyLimit(read_all, max_bytes=100, max_buffered_bytes=100, seconds=1)

    async def others() -> None:
        status, problem = await call(limit, pieces(b""), (b"content-length", b"60"))
        assert (status, problem["title"]) == (503, "Not ready")
        with pytest.raises(ServiceError, match="too many bytes of other requests"):
            await call(limit, pieces(b"x" * 60))
        # A body of no more than an equal share is read all the same.
        assert await call(limit, pieces(b"x" * 50), (b"content-length", b"50")) == (200, {"size": 50})
        assert await call(limit, pieces(b"x" * 50)) == (200, {"size": 50})

    assert await hold(limit, 90, others) == (200, {"size": 90})
    assert await call(limit, pieces(b"x" * 100)) == (200, {"size": 100})


async def test_other_protocols_pass() -> None:
    passed = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(scope["type"])

    async def nothing(*_: object) -> Message:
        raise AssertionError

    await BodyLimit(app, 1, 1, 1)({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]  # any call fails
    assert passed == ["lifespan"]
