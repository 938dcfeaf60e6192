"""docker compose, with a real engine: built, healthy, the same answers, drained."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.images.decode import decode
from service.model.postprocess import apply_operating_point
from service.model.repository import find_model
from service.model.session import OrtSession
from tests.docker.engine import URL, docker, running_container, works
from tests.support.serving import ROOT

EXAMPLE = (ROOT / "examples" / "strip.png").read_bytes()
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """The service's container, up and healthy."""
    with running_container() as container:
        yield container


def test_the_answer_is_that_of_the_model(container: str) -> None:
    session = OrtSession(find_model(ROOT / "models/steel-unet-resnet18-fast"))
    probabilities = session.infer([decode(EXAMPLE, max_pixels=409_600)])[0]
    expected = apply_operating_point(
        probabilities.classes, probabilities.masks, session.metadata.profiles[0], session.metadata.class_ids
    )
    answer = httpx.post(f"{URL}/predict", content=EXAMPLE, headers=PNG, timeout=60).json()
    assert answer["model"]["sha256"] == session.sha256
    classes = answer["images"][0]["classes"]
    assert [found["area"] for found in classes] == [found.area for found in expected]


def test_the_container_is_locked_down_and_holds_no_torch(container: str) -> None:
    (state,) = json.loads(docker("inspect", container))
    assert state["HostConfig"]["ReadonlyRootfs"] is True
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    assert state["HostConfig"]["Memory"] == 2 * 1024**3
    assert state["Config"]["User"] == "65534:65534"
    probe = (
        "import importlib.util as u; print([n for n in ('torch', 'onnx', 'model_export') if u.find_spec(n)])"
    )
    assert docker("exec", container, "/opt/venv/bin/python", "-c", probe).strip() == "[]"


def test_the_gpu_file_asks_for_a_gpu() -> None:
    if not works("compose", "version"):
        pytest.skip("no docker compose here")
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml")
    service = json.loads(docker("compose", *files, "config", "--format", "json"))["services"]["steel"]
    assert service["build"]["args"]["EXTRA"] == "gpu"
    assert service["environment"]["STEEL_DEVICE"] == "cuda"
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


@contextlib.contextmanager
def calls_in_flight() -> Iterator[list[Future[httpx.Response]]]:
    """Eight requests of four strips on their way, some of them in the queue."""
    files = [("file", EXAMPLE)] * 4

    def received(metrics: str) -> int:
        return int(re.findall(r"^steel_requests_received_total (\d+)", metrics, re.MULTILINE)[0])

    with ThreadPoolExecutor(8) as pool, httpx.Client() as client:
        metrics = client.get(f"{URL}/metrics").text
        wanted = received(metrics) + 8
        calls = [pool.submit(httpx.post, f"{URL}/predict", files=files, timeout=60) for _ in range(8)]
        while "steel_queue_size 0.0" in metrics or received(metrics) < wanted:
            assert not all(call.done() for call in calls), "all were answered before they were seen to wait"
            metrics = client.get(f"{URL}/metrics").text
            wanted += 1  # this question is a request, too
        yield calls


def process_id(container: str) -> int:
    """The process that the container runs; 0 while it runs none."""
    (state,) = json.loads(docker("inspect", container))
    return int(state["State"]["Pid"])


def test_a_kill_loses_only_what_was_in_flight_and_compose_starts_again(container: str) -> None:
    """By its process id: Docker does not start again what ``docker kill`` ended."""
    pid = process_id(container)
    command = Path(f"/proc/{pid}/cmdline")
    if not command.is_file() or b"service" not in command.read_bytes().split(b"\0"):
        pytest.skip("the engine's processes cannot be seen from here")
    with calls_in_flight() as calls:
        os.kill(pid, signal.SIGKILL)
        broken = [call.exception() for call in calls]
    assert all(error is None or isinstance(error, httpx.TransportError) for error in broken)
    assert any(broken)
    # Until Docker has started it again it counts as unhealthy, and compose would not wait.
    deadline = time.monotonic() + 60
    while process_id(container) in (0, pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    docker("compose", "up", "--detach", "--wait")  # changes nothing; waits until it is healthy
    (state,) = json.loads(docker("inspect", container))
    assert state["RestartCount"] == 1
    assert httpx.post(f"{URL}/predict", content=EXAMPLE, headers=PNG, timeout=60).status_code == 200


def test_a_stop_finishes_accepted_work(container: str) -> None:
    """The last test here: it stops the container."""
    with calls_in_flight() as calls:
        docker("compose", "stop")
        assert [call.result().status_code for call in calls] == [200] * 8
    (state,) = json.loads(docker("inspect", container))
    assert state["State"]["ExitCode"] == 0
