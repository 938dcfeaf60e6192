"""HAProxy in front of the replicas, in place of Ray's own proxy."""

import asyncio
import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.clients.java import post_with_java
from tests.steel_ray.processes import running_replicas
from tests.support.images import png
from tests.support.serving import free_port
from tests.support.tiny_model import block_rle, block_strip

STRIP = png(block_strip(c3=(100, 20, 5, 30)))
CODE = block_rle(100, 20, 5, 30)
CALLERS = 6


@pytest.fixture(scope="module")
def replicas(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    log = tmp_path_factory.mktemp("haproxy") / "log"
    environment = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
    }
    with running_replicas(tiny_model, 2, log, **environment) as started:
        yield started


def test_haproxy_hands_on_what_the_service_answers(
    replicas: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = replicas
    answer = httpx.post(f"{url}/predict", content=STRIP, timeout=30)
    assert answer.json()["images"][0]["classes"][2]["rle"] == CODE
    assert len(answer.headers.get_list("x-request-id")) == 1
    bad = httpx.post(f"{url}/predict", content=b"no image")
    assert (bad.status_code, bad.headers["content-type"]) == (415, "application/problem+json")
    haproxies = {child.pid for child in named(process, "haproxy")}
    port = httpx.URL(url).port
    # Asked of the system: a new configuration is a new process, and the old one may end at any moment.
    listening = [
        (each.laddr.ip, each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
    ]
    assert {ip for ip, _ in listening} == {"127.0.0.1"}
    assert haproxies & {pid for _, pid in listening}


def test_java_reads_the_mask_of_its_strip_behind_haproxy(
    replicas: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    strip = tmp_path / "strip.png"
    strip.write_bytes(STRIP)
    status, answer = post_with_java(f"{replicas[1]}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][2]["rle"] == CODE


def test_a_replica_that_dies_costs_no_more_than_it_was_answering(
    replicas: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = replicas
    outcomes: Counter[str] = Counter()

    async def call(client: httpx.AsyncClient, until: float) -> None:
        while time.monotonic() < until:
            try:
                answer = await client.post(f"{url}/predict", content=STRIP)
            except httpx.RemoteProtocolError:
                outcomes["lost"] += 1  # what docs/ray.md says of HAProxy, the 500 too
                continue
            if answer.status_code == 500:
                assert answer.text == "Internal Server Error"  # HAProxy's own, not the service's
                outcomes["lost"] += 1
                continue
            assert answer.status_code == 200
            assert answer.json()["images"][0]["classes"][2]["rle"] == CODE
            outcomes["answered"] += 1

    async def load() -> None:
        until = time.monotonic() + 8
        async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(call(client, until))
            await asyncio.sleep(2)
            named(process, "ray::ServeRepl")[0].kill()

    asyncio.run(load())
    print(dict(outcomes))
    assert outcomes["lost"] <= 2 * CALLERS  # under way, and sent before HAProxy knew
    assert outcomes["answered"] > 50


def named(process: subprocess.Popen[bytes], beginning: str) -> list[psutil.Process]:
    """Those of a process' descendants whose name begins so."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.name().startswith(beginning):
                found.append(child)
    return found
