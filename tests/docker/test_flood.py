"""Large bodies and slow senders, all at once; the container's memory limit is the engine's."""

import asyncio
import contextlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.docker.engine import PORT, URL, docker, running_container
from tests.serving import ROOT

pytestmark = pytest.mark.anyio

EXAMPLE = (ROOT / "examples" / "strip.png").read_bytes()
SECONDS = 20
DEADLINE_MS = 5000
LARGE, SLOW = 64, 200
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FORM = (PART + bytes(3_300_000) + b"\r\n") * 3 + b"--b--\r\n"
"""Ten megabytes in three files, none of which is too large by itself."""


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    with running_container() as container:
        yield container


def peak_bytes(container: str) -> int:
    """Read what the container's memory group held at most."""
    files = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
    command = " || ".join(f"cat {file} 2>/dev/null" for file in files)  # control groups 2, or 1
    return int(docker("exec", container, "sh", "-c", command))


async def send_large(until: float, statuses: Counter[int]) -> None:
    """Send ten megabytes after ten megabytes."""
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with httpx.AsyncClient(timeout=60) as client:
        while time.monotonic() < until:
            try:
                response = await client.post(f"{URL}/predict", content=FORM, headers=headers)
                statuses[response.status_code] += 1
            except httpx.TransportError:
                statuses[0] += 1  # refused while it was still sending


async def send_slowly(until: float, statuses: Counter[int]) -> None:
    """Send a byte a second; come again when thrown out."""
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(PORT))
            writer.write(head)
            answer = asyncio.ensure_future(reader.readline())
            while not answer.done() and time.monotonic() < until:
                writer.write(b"x")
                await asyncio.wait([answer], timeout=1)
            if answer.done():
                statuses[int([*answer.result().split(), b"0", b"0"][1])] += 1
            answer.cancel()
            writer.close()


async def send_strips(until: float, seconds: list[float], statuses: Counter[int]) -> None:
    """Send a good strip four times a second, whatever becomes of the others."""

    async def send(client: httpx.AsyncClient) -> None:
        started = time.monotonic()
        headers = {"Content-Type": "image/png", "X-Deadline-Ms": str(DEADLINE_MS)}
        response = await client.post(f"{URL}/predict", content=EXAMPLE, headers=headers)
        statuses[response.status_code] += 1
        seconds.append(time.monotonic() - started)

    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
        while time.monotonic() < until:
            group.create_task(send(client))
            await asyncio.sleep(0.25)


async def test_good_requests_meet_their_deadline_in_a_flood(container: str) -> None:
    until = time.monotonic() + SECONDS
    seconds: list[float] = []
    large, slow, good = Counter[int](), Counter[int](), Counter[int]()
    async with asyncio.TaskGroup() as group:
        for _ in range(LARGE):
            group.create_task(send_large(until, large))
        for _ in range(SLOW):
            group.create_task(send_slowly(until, slow))
        group.create_task(send_strips(until, seconds, good))
    peak = peak_bytes(container)
    (state,) = json.loads(docker("inspect", container))
    limit = state["HostConfig"]["Memory"]
    print(
        f"good {dict(good)}, p50 {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s; "
        f"large {dict(large)}; slow {dict(slow)}; peak {peak / 1e6:.0f} MB of {limit / 1e6:.0f} MB"
    )
    assert set(good) == {200}
    assert sum(good.values()) > 0.5 * SECONDS / 0.25
    assert max(seconds) <= DEADLINE_MS / 1000
    assert set(slow) <= {408}
    assert sum(slow.values()) > 0
    assert sum(large.values()) > 0
    assert 0 < peak < limit
    assert (state["State"]["OOMKilled"], state["RestartCount"]) == (False, 0)
