"""Large bodies, slow senders, silent readers and hostile rows at once; the memory limit is the engine's."""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.docker.engine import URL, docker, running_container
from tests.docker.flooders import ROWS
from tests.support.serving import ROOT

EXAMPLE = (ROOT / "examples" / "strip.png").read_bytes()
SECONDS = 25
PAUSE = 0.5
DEADLINE_MS = 5000


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    with running_container() as container:
        yield container


def peak_bytes(container: str) -> int:
    """Read what the container's memory group held at most."""
    files = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
    command = " || ".join(f"cat {file} 2>/dev/null" for file in files)  # control groups 2, or 1
    return int(docker("exec", container, "sh", "-c", command))


@pytest.mark.alone
def test_good_requests_meet_their_deadline_in_a_flood(container: str) -> None:
    seconds: list[float] = []
    good = Counter[int]()

    def send() -> None:
        headers = {"Content-Type": "image/png", "X-Deadline-Ms": str(DEADLINE_MS)}
        started = time.monotonic()
        response = httpx.post(f"{URL}/predict", content=EXAMPLE, headers=headers, timeout=60)
        seconds.append(time.monotonic() - started)
        good[response.status_code] += 1

    flood = subprocess.Popen(
        [sys.executable, "-m", "tests.docker.flooders", URL, str(SECONDS)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ThreadPoolExecutor(32) as threads:
        calls = []
        while flood.poll() is None:
            calls.append(threads.submit(send))
            time.sleep(PAUSE)
        for call in calls:
            call.result()
    output, _ = flood.communicate()
    told = json.loads(output)
    peak = peak_bytes(container)
    (state,) = json.loads(docker("inspect", container))
    limit = state["HostConfig"]["Memory"]
    print(
        f"good {dict(good)}, p50 {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s; "
        f"large {told['large']}; slow {told['slow']}; "
        f"silent {told['silent']}; {sum(told['rows'].values())} answers to {len(told['rows'])} rows; "
        f"peak {peak / 1e6:.0f} MB of {limit / 1e6:.0f} MB"
    )
    assert told["wrong"] == {}
    assert set(good) == {200}
    assert good[200] >= 0.8 * SECONDS / PAUSE
    assert max(seconds) <= DEADLINE_MS / 1000
    assert set(told["slow"]) == {"408"}
    assert told["slow"]["408"] >= 200
    assert {"200", "503"} <= set(told["large"])
    assert set(told["rows"]) == {row.name for row in ROWS}
    assert 0 < peak < limit
    assert (state["State"]["OOMKilled"], state["RestartCount"]) == (False, 0)
