"""Answers and refusals reach the caller through a proxy as the service gave them."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.clients.java import post_with_java
from tests.support.images import png
from tests.support.proxies import PROXIES, Proxy
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_rle, block_strip
from tests.support.waiting import until

pytestmark = pytest.mark.slow

STRIP = png(block_strip(c1=(10, 5, 3, 4)))
CODE = block_rle(10, 5, 3, 4)
BODY_SECONDS = 2


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    settings: dict[str, Any] = {"body_timeout_s": BODY_SECONDS, "log_level": "error", "max_queue_size": 32}
    with real_server(tiny_model, port=free_port(), **settings) as server:
        yield server


@pytest.fixture(scope="module", params=PROXIES, ids=list(PROXIES))
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return PROXIES[request.param]


@pytest.fixture(scope="module")
def url(server: Server, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proxy.running(server.url, tmp_path_factory.mktemp("proxy")) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def pieces() -> Iterator[bytes]:
    """A body without a length: httpx sends it in chunks."""
    for at in range(0, len(STRIP), 100):
        yield STRIP[at : at + 100]


UPGRADE = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}


def test_strips_are_answered_however_they_are_sent(client: httpx.Client) -> None:
    kind = {"Content-Type": "image/png"}
    for answer in (
        client.post("/predict", content=STRIP, headers=kind),
        client.post("/predict", content=pieces(), headers=kind),
        client.post("/predict", content=STRIP, headers=kind | UPGRADE),
        client.post("/predict", content=pieces(), headers=kind | UPGRADE),
        client.post("/predict", files={"file": ("größe 1.png", STRIP)}),
        client.post("/predict", content=STRIP, headers=kind | {"Connection": "close"}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["images"][0]["classes"][0]["rle"] == CODE
        assert len(answer.headers.get_list("x-request-id")) == 1
    assert client.get("/health/ready").status_code == 200
    assert client.get("/model").json()["name"] == "tiny"


def test_refusals_arrive(client: httpx.Client, proxy: Proxy) -> None:
    large = bytes(Settings.model_fields["max_file_bytes"].default + 1)
    for status, answer in (
        (415, client.post("/predict", content=b"no image")),
        (422, client.post("/predict", content=STRIP[:200])),
        (422, client.post("/predict?threshold=2", content=STRIP)),
        (413, client.post("/predict", content=large)),
        (413, client.post("/predict", files={"file": ("a.png", large)})),
        (405, client.get("/predict")),
        (404, client.get("/nothing")),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status
    assert client.post("/predict", content=STRIP).status_code == 200


def test_a_body_that_is_too_large_by_its_length_is_refused(client: httpx.Client, proxy: Proxy) -> None:
    """Proxies pass such an answer on although the body is still under way."""
    answer = client.post(
        "/predict", files=[("file", (f"{number}.png", bytes(4_000_000))) for number in range(9)]
    )
    assert answer.status_code == 413
    if not proxy.documented:  # nginx itself refuses it there
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_full_queue_tells_when_to_come_back(client: httpx.Client) -> None:
    headers = {"X-Deadline-Ms": "1"}  # refused at once, or too late
    answer = client.post("/predict", content=STRIP, headers=headers)
    assert answer.status_code in (429, 504)
    assert answer.status_code == 504 or int(answer.headers["retry-after"]) >= 1


def test_a_slow_body_is_refused_with_408(url: str, proxy: Proxy) -> None:
    if proxy.buffers:
        pytest.skip("the proxy waits for the body itself")
    address = httpx.URL(url)
    with socket.create_connection((address.host, int(address.port or 0)), 60) as connection:
        head = f"POST {proxy.path}/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(STRIP)}\r\n\r\n"
        connection.sendall(head.encode() + STRIP[:50])
        connection.settimeout(20 * BODY_SECONDS)
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_callers_that_leave_cost_nothing(url: str, proxy: Proxy, server: Server) -> None:
    address = httpx.URL(url)
    head = f"POST {proxy.path}/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(STRIP)}\r\n\r\n".encode()
    for sent in (head, head + STRIP[:50], head + STRIP):
        for _ in range(8):
            with socket.create_connection((address.host, int(address.port or 0)), 60) as connection:
                connection.sendall(sent)
    metrics = f"{server.url}/metrics"
    until(lambda: "steel_queue_size 0.0" in httpx.get(metrics).text)
    assert httpx.post(f"{url}/predict", content=STRIP, timeout=60).status_code == 200
    assert 'status="500"' not in httpx.get(metrics).text


def test_java_reads_the_mask_of_its_strip(url: str, proxy: Proxy, tmp_path: Path) -> None:
    if proxy not in (PROXIES["nginx, web sockets"], PROXIES["haproxy, plain"]):
        pytest.skip("a Java client takes seconds to start")
    strip = tmp_path / "strip.png"
    strip.write_bytes(STRIP)
    status, answer = post_with_java(f"{url}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][0]["rle"] == CODE
