"""A server may ignore ``Upgrade`` and must read the body all the same (RFC 9110, section 7.8)."""

import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import png
from tests.support.serving import Server, real_server
from tests.support.tiny_model import block_strip

STRIP = png(block_strip(c1=(10, 5, 3, 4)))
UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "TLS": b"Upgrade: TLS/1.0\r\nConnection: upgrade\r\n",
    "unknown": b"Connection: keep-alive, UPGRADE\r\nUpgrade: foo/1\r\n",
}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with real_server(tiny_model, head_timeout_s=5, body_timeout_s=5) as server:
        yield server


def request(line: bytes, upgrade: bytes, body: bytes, *, chunked: bool) -> bytes:
    kind = b"Content-Type: image/png\r\n"
    if chunked:
        head = b"Transfer-Encoding: chunked\r\n\r\n"
        cut = len(body) // 2
        body = (
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:])) + b"0\r\n\r\n"
        )
    else:
        head = b"Content-Length: %d\r\n\r\n" % len(body)
    return line + b" HTTP/1.1\r\nHost: x\r\n" + upgrade + kind + head + body


def answers(server: Server, parts: list[bytes], count: int) -> list[tuple[int, bytes]]:
    """Send parts one after the other; read so many answers."""
    host, port = server.url.removeprefix("http://").split(":")
    found = []
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02 if len(parts) > 1 else 0)
        with connection.makefile("rb") as stream:
            for _ in range(count):
                status = int(stream.readline().split()[1])
                headers = dict(
                    line.decode().strip().lower().split(": ", 1)
                    for line in itertools.takewhile(lambda line: line != b"\r\n", stream)
                )
                found.append((status, stream.read(int(headers["content-length"]))))
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # nothing came besides the answers
    return found


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_strip_is_answered_however_it_arrives(server: Server, upgrade: str, chunked: bool) -> None:
    whole = request(b"POST /predict", UPGRADES[upgrade], STRIP, chunked=chunked)
    head = whole.index(b"\r\n\r\n") + 4
    for cuts in ([], [head], [head - 2, head + 10], [5, 30, head - 1, head + 100]):
        places = [0, *cuts, len(whole)]
        parts = [whole[a:b] for a, b in itertools.pairwise(places)]
        ((status, body),) = answers(server, parts, 1)
        assert status == 200
        (image,) = json.loads(body)["images"]
        assert image["status"] == 200
        assert image["classes"][0]["present"] is True


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_body_is_never_the_next_request(server: Server, upgrade: str) -> None:
    body = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    whole = request(b"POST /predict", UPGRADES[upgrade], body, chunked=False)
    head = whole.index(b"\r\n\r\n") + 4
    for parts in ([whole], [whole[:head], whole[head:]]):
        assert [status for status, _ in answers(server, parts, 1)] == [415]


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_other_routes_and_requests_behind_are_answered(server: Server, upgrade: str) -> None:
    extra = UPGRADES[upgrade]
    sent = [
        request(b"GET /health/ready", extra, b"", chunked=False),
        request(b"POST /overlay", extra, STRIP, chunked=True),
        request(b"GET /v2/models/tiny", b"", b"", chunked=False),
        request(b"POST /predict?mask_format=none", extra, STRIP, chunked=False),
        request(b"GET /nothing", extra, b"", chunked=False),
    ]
    assert [status for status, _ in answers(server, [b"".join(sent)], 5)] == [200, 200, 200, 200, 404]


def test_a_tunnel_is_refused(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        assert connection.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405")
