"""docs/faults.md, row by row: what breaks, what the caller gets, what ends the process."""

import asyncio
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from bench.connections import Connections, post
from service.app import create_app
from service.geometry import Strip
from service.model.cpu_quota import cpu_quota
from service.model.io_binding import BoundRuns
from service.model.providers import open_cpu
from service.model.repository import read_model
from service.model.session import OrtSession, Probabilities, bind
from service.settings import Settings
from tests.support.faulty_model import EXHAUST, HANG, RAISE, write_faulty_model
from tests.support.images import png
from tests.support.serving import ROOT, Server, free_port, real_server, running_app, service_environment
from tests.support.tiny_model import block_rle, block_strip, write_slow_model
from tests.support.waiting import until

PNG = {"Content-Type": "image/png"}
STRIP = png(block_strip(c1=(3, 4, 5, 6)))


several_threads = pytest.mark.skipif(
    cpu_quota() < 2, reason="one processor here: a model that hangs leaves no thread to answer"
)


def cursed(grey: int) -> bytes:
    """A strip that makes the faulty model fail."""
    strip = block_strip(c1=(3, 4, 5, 6))
    strip[0, 0] = grey
    return png(strip)


def ask(url: str, data: bytes = STRIP, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/predict", content=data, headers=PNG | headers, timeout=60)


def is_right(response: httpx.Response) -> bool:
    return response.status_code == 200 and response.json()["images"][0]["classes"][0]["rle"] == block_rle(
        3, 4, 5, 6
    )


def metric(url: str, name: str) -> float:
    """Add up a metric over its labels."""
    rows = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows if re.match(rf"{name}[ {{]", row))


def check_sums(url: str) -> None:
    """Every request that arrived was counted once when it ended; the one that asks is still under way."""
    rows = httpx.get(f"{url}/metrics").text

    def total(name: str) -> float:
        lines = [row for row in rows.splitlines() if re.match(rf"{name}[ {{]", row)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in lines)

    assert total("steel_requests_in_progress") == 1
    assert total("steel_requests_received_total") == total("steel_requests_total") + 1


@pytest.fixture(scope="module")
def faulty_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faulty_model(tmp_path_factory.mktemp("faulty") / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, cpu_quota()], ids=["side-by-side", "one-by-one"])
def test_a_model_that_raises_or_finds_no_memory_costs_its_own_callers_only(
    faulty_model: Path, threads: int
) -> None:
    with (
        real_server(faulty_model, threads=threads) as server,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        work = [STRIP, cursed(RAISE), STRIP, cursed(EXHAUST)] * 4
        answers = list(pool.map(lambda data: ask(server.url, data), work))
        for data, answer in zip(work, answers, strict=True):
            if data == STRIP:
                assert is_right(answer)
            else:
                assert answer.status_code == 500
                assert "under the request id" in answer.json()["detail"]
        assert is_right(ask(server.url))
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        check_sums(server.url)
        code, lines = server.stop()
    assert code == 0
    errors = [str(line["error"]) for line in lines if line.get("status") == 500]
    assert sum("out of data bounds" in error for error in errors) == 4
    assert sum("Failed to allocate memory" in error for error in errors) == 4


@pytest.mark.slow
@several_threads
def test_a_model_that_hangs_ends_the_process(faulty_model: Path) -> None:
    with (
        real_server(faulty_model, inference_timeout_s=1.5, shutdown_timeout_s=4) as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        assert ask(server.url, cursed(HANG), **{"X-Deadline-Ms": "300"}).status_code == 504
        assert is_right(ask(server.url))  # on the threads that are left
        _hung = pool.submit(ask, server.url, cursed(HANG))  # keeps the process until it loses patience
        answers: list[httpx.Response] = []

        def turned_off() -> bool:
            answers[:] = [httpx.get(f"{server.url}/health/{kind}") for kind in ("live", "ready")]
            return all(answer.status_code == 503 for answer in answers)

        until(turned_off)
        assert "has not ended after 1.5 s" in answers[0].json()["detail"]
        output, _ = server.process.communicate(timeout=20)
    assert server.process.returncode == 1
    (line,) = (line for line in map(json.loads, output.splitlines()) if line["level"] == "critical")
    assert line["reason"] == "an inference has not ended after 1.5 s"


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_model_that_hangs(faulty_model: Path) -> None:
    with real_server(faulty_model, shutdown_timeout_s=1) as server:
        assert ask(server.url, cursed(HANG), **{"X-Deadline-Ms": "300"}).status_code == 504
        code, _ = server.stop()
    assert code == 0


class Broken:
    """The tiny session until it is broken."""

    max_parallel_runs = 1
    batches = True

    def __init__(self, session: OrtSession, error: BaseException) -> None:
        self.metadata, self.sha256 = session.metadata, session.sha256
        self.provider, self.fallback_reason = session.provider, session.fallback_reason
        self._session, self._error = session, error
        self.broken = False

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        if self.broken:
            raise self._error
        return self._session.infer(strips)


@pytest.mark.anyio
@pytest.mark.parametrize("error", [SystemExit("the thread ends"), MemoryError("no room"), StopIteration()])
async def test_whatever_is_raised_in_an_inference_thread_is_a_500(
    tiny_session: OrtSession, error: BaseException
) -> None:
    session = Broken(tiny_session, error)
    async with running_app(create_app(Settings(), session=session)) as client:
        session.broken = True
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 500
        session.broken = False
        assert is_right(await client.post("/predict", content=STRIP, headers=PNG))


@pytest.mark.anyio
async def test_inference_threads_that_are_gone_end_the_process(tiny_session: OrtSession) -> None:
    fatal = list[Exception]()
    app = create_app(Settings(), session=tiny_session, on_fatal=fatal.append)
    async with running_app(app) as client:
        app.state.engine._server._inference.shutdown()
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 500
        for route in ("/health/ready", "/health/live"):
            assert "the inference threads accept no work" in (await client.get(route)).json()["detail"]
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 503
    assert len(fatal) == 1


@pytest.mark.anyio
async def test_a_gpu_that_disappears_turns_readiness_off(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session with buffers bound as on a GPU, whose run then fails with CUDA's words."""
    session, fatal = OrtSession(tiny_model), list[Exception]()
    plain = open_cpu(read_model(tiny_model), 1)
    bound = bind(plain, session.metadata, device="cpu", batch_sizes=(1,), graphs=False)
    session._bound, session.max_parallel_runs, session.batches = bound, 1, True
    async with running_app(create_app(Settings(), session=session, on_fatal=fatal.append)) as client:

        async def status() -> int:
            return (await client.post("/predict", content=STRIP, headers=PNG)).status_code

        def fails(text: str) -> None:
            def run(_self: BoundRuns, _images: Strip) -> list[np.ndarray]:
                raise RuntimeError(text)

            monkeypatch.setattr(BoundRuns, "run", run)

        assert await status() == 200
        with monkeypatch.context():
            fails("CUDA failure 2: out of memory")
            assert await status() == 500
            assert (await client.get("/health/ready")).status_code == 200
            fails("CUDA failure 999: unknown error ; GPU=0 ; hostname=mill")
            assert await status() == 500
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert "the GPU fails: CUDA failure 999" in answer.json()["detail"]
    assert len(fatal) == 1


@pytest.fixture
def port() -> int:
    return free_port()


def started(tiny_model: Path, port: int, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=service_environment(tiny_model, port=port),
        stdout=stdout,
        stderr=stdout,
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("kind", ["full disk", "closed pipe"])
def test_logs_that_nobody_takes_do_not_stop_the_service(tiny_model: Path, port: int, kind: str) -> None:
    if kind == "full disk":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    process = started(tiny_model, port, output)
    os.close(output)
    url = f"http://127.0.0.1:{port}"
    try:

        def is_ready() -> bool:
            try:
                return httpx.get(f"{url}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        until(is_ready)
        with httpx.Client() as client:
            for _ in range(60):  # more than a buffer of lines
                assert is_right(client.post(f"{url}/predict", content=STRIP, headers=PNG))
        assert ask(url, b"no image").status_code == 415
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.anyio
@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_clock_that_jumps_moves_no_deadline(
    tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    async with running_app(create_app(Settings(), session=tiny_session)) as client:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        headers = PNG | {"X-Deadline-Ms": "20000"}
        answers = [await client.post("/predict", content=STRIP, headers=headers) for _ in range(5)]
        assert all(is_right(answer) for answer in answers)
        assert all(0 <= answer.json()["timing_ms"]["total"] < 20_000 for answer in answers)


def test_nothing_in_the_service_reads_the_wall_clock() -> None:
    for path in (ROOT / "service").glob("*.py"):
        assert not re.search(r"time\.time\(|datetime|time\.localtime|time\.gmtime", path.read_text()), path


class TestTheClientLeaves:
    """Nothing breaks and everything is counted, at every stage; for the queue see test_server.py."""

    @staticmethod
    def connect(url: str, *, reset: bool = False) -> socket.socket:
        host, port = url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=10)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return connection

    @pytest.mark.slow
    @several_threads
    @pytest.mark.parametrize("reset", [False, True])
    def test_at_every_stage(self, faulty_model: Path, reset: bool) -> None:
        with real_server(faulty_model) as server:
            self.leave_at_every_stage(server, reset)
            code, lines = server.stop()
        assert code == 0
        assert not [line for line in lines if line["level"] in ("error", "critical")]

    def leave_at_every_stage(self, server: Server, reset: bool) -> None:
        def head(body: bytes) -> bytes:
            text = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: "
            return f"{text}{len(body)}".encode()

        request, hangs = (head(body) + b"\r\n\r\n" + body for body in (STRIP, cursed(HANG)))
        for sent in (b"", b"POST /pre", head(STRIP), head(STRIP) + b"\r\n\r\n", request[:-100]):
            with self.connect(server.url, reset=reset) as connection:
                connection.sendall(sent)
                time.sleep(0.02)
        with self.connect(server.url, reset=reset) as running:
            running.sendall(hangs)
            until(lambda: metric(server.url, "steel_requests_in_progress") == 2)
        # While the answer is sent: it has begun to come, and nobody reads on.
        with self.connect(server.url, reset=reset) as reading:
            reading.sendall(request)
            assert reading.recv(1) == b"H"
        until(lambda: metric(server.url, "steel_requests_in_progress") == 1)
        assert is_right(ask(server.url))
        check_sums(server.url)
        assert metric(server.url, "steel_disconnects_total") == 3  # the head alone, half a body, running


@pytest.mark.slow
def test_a_kill_loses_only_what_was_in_flight(faulty_model: Path, tiny_model: Path, port: int) -> None:
    """The next process, on the same port, answers; what the last one had is a broken connection."""
    with real_server(faulty_model, port=port) as server, ThreadPoolExecutor(4) as pool:
        assert is_right(ask(server.url))
        calls = [pool.submit(ask, server.url, cursed(HANG)) for _ in range(4)]
        until(lambda: metric(server.url, "steel_requests_in_progress") == 5)
        server.process.send_signal(signal.SIGKILL)
        broken = [call.exception(timeout=20) for call in calls]
        assert all(isinstance(error, httpx.TransportError) for error in broken)
        server.process.wait(timeout=20)
    with real_server(tiny_model, port=port) as server:
        assert is_right(ask(server.url))


@pytest.mark.slow
def test_a_drain_answers_everything_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    """200 requests in flight, SIGTERM: all answered, new ones 503 on old and new connections, exit code 0."""
    model = write_slow_model(tmp_path / "model.onnx", matmuls=1)

    async def scenario(server: Server) -> tuple[list[tuple[int, bytes]], list[int]]:
        request = post(server.url, "/predict", PNG, STRIP)
        async with Connections(server.url, timeout=60) as connections, httpx.AsyncClient(timeout=20) as kept:
            await kept.get(f"{server.url}/health/ready")
            calls = [asyncio.create_task(connections.send(request)) for _ in range(220)]
            async with asyncio.timeout(30):
                while await asyncio.to_thread(metric, server.url, "steel_requests_in_progress") < 201:
                    await asyncio.sleep(0.01)
            server.process.terminate()
            late: list[int] = []
            async with asyncio.timeout(30):
                while (await kept.get(f"{server.url}/health/ready")).status_code != 503:
                    await asyncio.sleep(0.01)  # the signal has not arrived yet
                async with httpx.AsyncClient(timeout=20) as new:
                    for client in (kept, new):
                        answer = await client.post(f"{server.url}/predict", content=STRIP, headers=PNG)
                        late.append(answer.status_code)
                    late.append((await new.get(f"{server.url}/health/ready")).status_code)
                    late.append((await new.get(f"{server.url}/health/live")).status_code)
            assert not all(call.done() for call in calls)
            return await asyncio.gather(*calls), late

    with (
        real_server(model, max_queue_size=256) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(server.process.communicate)  # a pipe that nobody reads would hold the service
        answers, late = asyncio.run(scenario(server))
        assert server.process.wait(timeout=30) == 0
    assert [status for status, _ in answers] == [200] * 220
    codes = {json.loads(body)["images"][0]["classes"][0]["rle"] for _, body in answers}
    assert codes == {block_rle(3, 4, 5, 6)}
    assert late == [503, 503, 503, 200]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_refuses_what_is_not_answered(faulty_model: Path, first: int) -> None:
    """An inference that hangs would keep a drain for its whole time; nothing in the log calls it a fault."""
    with real_server(faulty_model, threads=1) as server, ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(ask, server.url, cursed(HANG)) for _ in range(6)]
        until(lambda: metric(server.url, "steel_requests_in_progress") == 7)
        server.process.send_signal(first)
        until(lambda: httpx.get(f"{server.url}/health/ready").status_code == 503)
        code, log = server.stop(signal.SIGINT)
        answers = [call.result(timeout=20) for call in calls]
    assert [answer.status_code for answer in answers] == [503] * 6
    assert {answer.json()["detail"] for answer in answers} == {"the service was stopped"}
    assert code == 0
    assert [line for line in log if line["level"] in ("error", "critical")] == []
