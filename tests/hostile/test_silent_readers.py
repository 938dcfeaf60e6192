"""Five hundred clients that ask for much and read nothing."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.hostile.bad_images import STRIP
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_rle

CLIENTS = 500
DEADLINE_MS = 20_000
DRAIN_SECONDS = 5
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 16
PREDICT = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(STRIP) + STRIP


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Allow so many sockets in this process and the service."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def silent(port: int, requests: bytes) -> socket.socket:
    """Open a connection, send what the service takes within a moment, and read nothing."""
    sock, loop = socket.socket(), asyncio.get_running_loop()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await loop.sock_sendall(sock, requests)
    return sock


def open_silent_clients(server: Server) -> list[socket.socket]:
    """Nine of ten want the largest document many times, the others have a strip inspected."""
    port = int(server.url.rpartition(":")[2])

    async def open_all() -> list[socket.socket]:
        wanted = (DOCUMENT if number % 10 else PREDICT for number in range(CLIENTS))
        return await asyncio.gather(*(silent(port, requests) for requests in wanted))

    return asyncio.run(open_all())


@pytest.mark.alone
@pytest.mark.parametrize("most", [512, CLIENTS])
def test_others_are_served_and_a_drain_is_short(tiny_model: Path, most: int) -> None:
    """With ``most`` connections the silent clients hold all places, until they are cut off."""
    # What fits a buffer is read, as far as the service can see: its clients are idle.
    with real_server(
        tiny_model,
        port=free_port(),
        max_connections=most,
        write_timeout_s=5,
        keep_alive_s=5,
        log_level="error",
    ) as server:
        clients = open_silent_clients(server)
        try:
            # Their requests all at once are a second's work; a busy machine takes longer.
            assert httpx.get(f"{server.url}/health/live", timeout=60).status_code == 200
            assert httpx.get(f"{server.url}/health/ready", timeout=DEADLINE_MS / 1000).status_code == 200
            assert httpx.get(f"{server.url}/metrics", timeout=DEADLINE_MS / 1000).status_code == 200
            if most > CLIENTS:
                _assert_answered(server)
            else:
                deadline = time.monotonic() + 60
                while httpx.get(f"{server.url}/model").status_code == 503:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                _assert_answered(server)
            for client in clients[: CLIENTS // 2]:
                client.close()
            clients = [*clients[CLIENTS // 2 :], *open_silent_clients(server)]
            started = time.monotonic()
            os.kill(server.process.pid, signal.SIGTERM)
            assert server.process.wait(timeout=60) == 0
            assert time.monotonic() - started < DRAIN_SECONDS
        finally:
            for client in clients:
                client.close()


def _assert_answered(server: Server) -> None:
    headers = {"X-Deadline-Ms": str(DEADLINE_MS)}
    answer = httpx.post(
        f"{server.url}/predict", content=STRIP, headers=headers, timeout=2 * DEADLINE_MS / 1000
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["images"][0]["classes"][2]["rle"] == block_rle(100, 20, 5, 30)
