"""Limits of a connection, on uvicorn in this process; the whole table is in tests/hostile."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from service import healthcheck
from service.http.protocol import ConnectionLimits
from tests.support.serving import running_uvicorn

pytestmark = pytest.mark.anyio

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LIMITS = ConnectionLimits(
    max_connections=4,
    max_head_bytes=2000,
    head_seconds=0.3,
    body_seconds=0.3,
    idle_seconds=0.3,
    write_seconds=0.3,
)


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    async with running_uvicorn(app, LIMITS) as port:
        yield port


async def told(port: int, *pieces: bytes, pause: float = 0.0) -> list[tuple[int, str]]:
    """Send pieces on one connection and read until it is closed: status and detail of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(pause)
    async with asyncio.timeout(20):
        received = await reader.read()
    writer.close()
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        body = json.loads(rest[:length])
        answers.append((int(head.split()[1]), str(body.get("detail", body.get("status")))))
        received = rest[length:]
    return answers


async def test_good_requests_are_answered_in_order(port: int) -> None:
    assert await told(port, LIVE * 3 + LAST) == [(200, "live")] * 4


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"", [(408, "the request's head did not arrive in 0.3 s")]),
        (b"GET /hea", [(408, "the request's head did not arrive in 0.3 s")]),
        (b"nonsense\r\n\r\n", [(400, "Invalid HTTP")]),
        (LIVE + b"nonsense\r\n\r\n", [(200, "live"), (400, "Invalid HTTP")]),
        (b"GET /" + b"a" * 3000, [(431, "at most 2000 bytes")]),
        (LIVE[:-2] + b"A: " + b"b" * 3000 + b"\r\n\r\n", [(431, "at most 2000 bytes")]),
        (b"GET /health/live HTTP/1.1\r\n\r\n", [(400, "1 Host header, got 0")]),
        (LIVE[:-2] + b"Host: y\r\n\r\n", [(400, "1 Host header, got 2")]),
        (b"GET /health/live\r\n\r\n", [(400, "expected HTTP/1.1")]),
        (LIVE.replace(b": x", b":"), [(400, "expected a Host header with a name")]),
        (LIVE + LIVE.replace(b": x", b": x y"), [(200, "live"), (400, "expected a Host header with a name")]),
        (LIVE.replace(b"/h", b"http://x/h"), [(200, "live")]),
        (LIVE.replace(b"/h", b"ftp://x/h"), [(400, "got 'ftp://x/health/live': this is no proxy")]),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [(404, "there is no")]),
        (LIVE, [(200, "live")]),  # closed when it was idle for long
    ],
)
async def test_other_heads_are_refused(port: int, sent: bytes, answers: list[tuple[int, str]]) -> None:
    came = await told(port, sent)
    assert [status for status, _ in came] == [status for status, _ in answers]
    for (_, detail), (_, wanted) in zip(came, answers, strict=True):
        assert wanted in detail


async def test_another_protocol_is_named_however_its_bytes_arrive(port: int) -> None:
    pieces = (b"OPTIONS / RT", b"SP/1.0\r\n", b"CSeq: 1\r\n\r\n")
    assert await told(port, *pieces, pause=0.05) == [(400, "expected HTTP/1.1, got RTSP/1.0")]


async def test_pipelining_has_its_bounds(port: int) -> None:
    came = await told(port, LIVE * 100)
    assert came[0] == (200, "live")
    assert came[-1] == (400, "expected at most 16 requests before their answers, got more")
    assert len(came) <= 18


async def test_a_trailer_has_its_bounds(port: int) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ((status, detail),) = await told(port, head + b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 1000)
    assert status == 431
    assert "at most 2000 bytes" in detail


async def test_the_rest_of_a_body_is_waited_for_within_bounds(port: int) -> None:
    head = b"POST /model HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    ((status, _),) = await told(port, head, b"x" * 10)
    assert status == 405
    answers = await told(port, head, b"x" * 100 + LAST, pause=0.1)
    assert [status for status, _ in answers] == [405, 200]


async def test_connections_are_counted_and_so_are_refusals(port: int, app: FastAPI) -> None:
    open_ = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]  # 8 for health checks
    ((status, detail),) = await told(port)
    assert (status, detail) == (503, "4 connections are open already")
    for _, writer in open_:
        writer.close()
    await asyncio.sleep(0.1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        text = (await client.get("/metrics")).text
    assert 'steel_requests_total{route="unknown",status="503"} 1.0' in text
    assert 'steel_refusals_total{reason="Not ready"} 1.0' in text
    assert "steel_requests_received_total 2.0" in text


async def test_the_health_check_asks_this_machine(
    port: int, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEEL_PORT", str(port))
    async with asyncio.timeout(20):
        while app.state.engine.not_ready_reason is not None:
            await asyncio.sleep(0.01)
    assert await asyncio.to_thread(healthcheck.main) == 0
    app.state.engine.draining = True
    assert await asyncio.to_thread(healthcheck.main) == 1
    monkeypatch.setenv("STEEL_PORT", "9")
    assert await asyncio.to_thread(healthcheck.main) == 1


async def never_reads(port: int, request: bytes, times: int = 40) -> socket.socket:
    """Open a connection that sends requests and reads nothing; its kernel keeps 4 KiB."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    with contextlib.suppress(OSError):
        async with asyncio.timeout(2):
            for _ in range(times):
                await loop.sock_sendall(sock, request)
                await asyncio.sleep(0.002)
    return sock


async def test_places_are_kept_for_health_checks(port: int) -> None:
    open_ = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    assert await told(port, LIVE) == [(200, "live")]  # and it is closed behind its answer
    get = b"GET /model HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await told(port, get) == [(503, "4 connections are open already")]
    for _, writer in open_:
        writer.close()


async def test_clients_that_never_read_give_their_places_back(port: int) -> None:
    document = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    model = b"GET /model HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    silent = await asyncio.gather(*(never_reads(port, document) for _ in range(4)))
    async with asyncio.timeout(20):
        while (await told(port, model))[0][0] != 200:
            await asyncio.sleep(0.05)
    for sock in silent:
        sock.close()


async def test_a_client_that_reads_slowly_gets_its_answer(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    received = b""
    async with asyncio.timeout(60):
        while piece := await reader.read(20_000):
            received += piece
            await asyncio.sleep(0.05)
    writer.close()
    assert json.loads(received.partition(b"\r\n\r\n")[2])["openapi"]


async def test_refusals_below_v2_carry_the_text_that_its_clients_read(port: int) -> None:
    head = b"POST /v2/models/tiny/infer?x=1 HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    async with asyncio.timeout(20):
        problem = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    writer.close()
    assert problem["status"] == 400
    assert problem["error"] == problem["detail"]
