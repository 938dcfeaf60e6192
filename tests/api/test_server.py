"""``python -m service`` as a real process: disconnects, limits, start and stop."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import __version__
from service.model.cpu_quota import cpu_quota
from tests.support.images import png
from tests.support.serving import ROOT, Server, real_server, start_service
from tests.support.tiny_model import block_rle, block_strip, write_slow_model
from tests.support.waiting import until

pytestmark = pytest.mark.slow

STRIP = png(block_strip(c1=(3, 4, 5, 6)))
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slow_model(tmp_path_factory.mktemp("slow") / "model.onnx", matmuls=60 * cpu_quota())


@pytest.fixture
def server(slow_model: Path) -> Iterator[Server]:
    """A server that runs one strip at a time, on all processors."""
    with real_server(slow_model, threads=cpu_quota()) as server:
        yield server


def metric(url: str, line: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    return next((float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(line)), 0.0)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def send_head(url: str, length: int) -> socket.socket:
    connection = connect(url)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def test_a_caller_that_hangs_up_is_dropped_before_the_model_runs(server: Server) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.post, f"{server.url}/predict", content=STRIP, headers=PNG, timeout=30)
        until(lambda: metric(server.url, "steel_requests_in_progress") == 2)  # the first, and this one
        with send_head(server.url, len(STRIP)) as gone:
            gone.sendall(STRIP)
            until(lambda: metric(server.url, "steel_queue_size") == 1)
        assert first.result().status_code == 200
    until(lambda: metric(server.url, "steel_disconnects_total") == 1)
    assert metric(server.url, 'steel_requests_total{route="/predict",status="left"}') == 1
    assert httpx.post(f"{server.url}/predict", content=STRIP, headers=PNG, timeout=30).status_code == 200
    assert metric(server.url, "steel_batch_size_sum") == 2


def test_a_caller_that_hangs_up_is_dropped_from_the_threads_side_by_side(slow_model: Path) -> None:
    """The strip waits for a thread, not for the event loop; with one processor there is no such wait."""
    running = cpu_quota()
    with (
        real_server(slow_model, threads=1) as server,
        concurrent.futures.ThreadPoolExecutor(running) as pool,
    ):
        calls = [
            pool.submit(httpx.post, f"{server.url}/predict", content=STRIP, headers=PNG, timeout=60)
            for _ in range(running)
        ]
        until(lambda: metric(server.url, "steel_requests_in_progress") == running + 1)
        with send_head(server.url, len(STRIP)) as gone:
            gone.sendall(STRIP)
            until(lambda: metric(server.url, "steel_queue_size") == 1)
        until(lambda: metric(server.url, "steel_disconnects_total") == 1)
        assert [call.result().status_code for call in calls] == [200] * running
        assert httpx.post(f"{server.url}/predict", content=STRIP, headers=PNG, timeout=60).status_code == 200
        assert metric(server.url, "steel_batch_size_sum") == running + 1


def test_a_caller_that_hangs_up_while_sending_is_no_error_of_ours(server: Server) -> None:
    with send_head(server.url, 1000) as gone:
        gone.sendall(b"half")
    until(lambda: metric(server.url, "steel_disconnects_total") == 1)
    assert metric(server.url, 'steel_requests_total{route="/predict",status="left"}') == 1
    assert metric(server.url, 'steel_requests_total{route="/predict",status="500"}') == 0


def test_a_stop_finishes_accepted_work_and_exits_with_zero(server: Server) -> None:
    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=30) as client:
            calls = [
                asyncio.create_task(client.post(f"{server.url}/predict", content=STRIP, headers=PNG))
                for _ in range(4)
            ]
            async with asyncio.timeout(20):
                while await asyncio.to_thread(metric, server.url, "steel_queue_size") < 3:
                    await asyncio.sleep(0.01)
            server.process.terminate()
            return await asyncio.gather(*calls)

    responses = asyncio.run(scenario())
    assert [response.status_code for response in responses] == [200] * 4
    rles = {response.json()["images"][0]["classes"][0]["rle"] for response in responses}
    assert rles == {block_rle(3, 4, 5, 6)}
    assert server.process.wait(timeout=20) == 0


def test_a_full_queue_refuses_before_the_body_arrives_and_keeps_the_connection(slow_model: Path) -> None:
    with (
        real_server(slow_model, threads=cpu_quota(), max_queue_size=1, max_files=1) as server,
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):

        def call() -> concurrent.futures.Future[httpx.Response]:
            return pool.submit(httpx.post, f"{server.url}/predict", content=STRIP, headers=PNG, timeout=30)

        calls = [call(), call()]

        def one_runs_and_one_waits() -> bool:
            for index, future in enumerate(calls):  # one that came before the other ran was refused
                if future.done():
                    calls[index] = call()
            return metric(server.url, "steel_queue_size") == 1

        until(one_runs_and_one_waits)
        with send_head(server.url, len(STRIP)) as refused:
            assert refused.recv(4096).startswith(b"HTTP/1.1 429")
            refused.sendall(STRIP)
            refused.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"HTTP/1.1 200 OK" not in received:  # behind the rest of the refusal
                chunk = refused.recv(4096)
                assert chunk, "the server closed the connection"
                received += chunk
        assert [future.result().status_code for future in calls] == [200] * 2


def test_an_open_connection_is_refused_while_the_service_drains(server: Server) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool, connect(server.url) as open_connection:
        work = pool.submit(httpx.post, f"{server.url}/predict", content=STRIP, headers=PNG, timeout=30)
        # Begun before the stop, so that uvicorn keeps it; the rest comes after the stop.
        open_connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n")
        until(lambda: metric(server.url, "steel_requests_in_progress") == 2)
        time.sleep(0.2)  # no metric counts a request before its head is complete
        server.process.terminate()
        until(lambda: not is_ready(server.url))
        with contextlib.suppress(OSError):
            open_connection.sendall(f"Content-Length: {len(STRIP)}\r\n\r\n".encode() + STRIP)
            answer = open_connection.recv(4096)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 503")
        assert work.result().status_code == 200
    assert server.process.wait(timeout=20) == 0


def test_a_body_without_an_end_is_cut_off(tiny_model: Path) -> None:
    with real_server(tiny_model, max_body_bytes=100_000) as server, connect(server.url) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(11):
            connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
        assert httpx.post(f"{server.url}/predict", content=STRIP, headers=PNG).status_code == 200


@pytest.mark.parametrize("size", [1_000_000, 50_000_000])
def test_a_client_that_sends_before_it_listens_learns_why_it_was_refused(tiny_model: Path, size: int) -> None:
    with real_server(tiny_model, max_body_bytes=20_000_000, max_buffered_bytes=20_000_000) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/predict", body=bytes(size), headers=PNG)
        assert connection.getresponse().status == (415 if size < 20_000_000 else 413)
        connection.close()


def test_a_client_that_asks_first_need_not_send(tiny_model: Path) -> None:
    with real_server(tiny_model, max_body_bytes=1000) as server, connect(server.url) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_slow_sender_meets_its_deadline(tiny_model: Path) -> None:
    with real_server(tiny_model, request_timeout_s=0.5) as server, send_head(server.url, 1000) as connection:
        connection.sendall(b"x")
        assert connection.recv(4096).startswith(b"HTTP/1.1 504")


def test_a_log_line_for_each_request(tiny_model: Path) -> None:
    with real_server(tiny_model) as server:
        headers = PNG | {"X-Request-Id": "line-1.7"}
        httpx.post(f"{server.url}/predict", content=STRIP, headers=headers)
        httpx.post(f"{server.url}/predict", content=b"no", headers=PNG)
        code, lines = server.stop()
    assert code == 0
    good, bad = (line for line in lines if line["event"] == "request")
    assert (good["request_id"], good["status"], good["path"]) == ("line-1.7", 200, "/predict")
    assert good["classes"] == [1]
    assert (bad["status"], bad["level"]) == (415, "info")
    assert "begins with the bytes" in str(bad["error"])


def test_a_missing_model_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    process = start_service(tmp_path / "none.onnx")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"there is no model at {tmp_path}/none.onnx" in output


def test_a_wrong_setting_ends_the_process_with_its_name(tiny_model: Path) -> None:
    process = start_service(tiny_model, device="gpu")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "STEEL_DEVICE" in output
    assert "got 'gpu'" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("arguments", [["--port", "8080"], ["serve"], ["--version", "--verbose"]])
def test_arguments_are_refused_where_settings_are_expected(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: expected no arguments, got '{arguments[0]}'; settings are variables"
    )


@pytest.mark.parametrize("package", ["service", "model_export"])
def test_the_version(package: str) -> None:
    command = [sys.executable, "-m", package, "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"


def test_head_answers_what_get_answers_without_its_body(tiny_model: Path) -> None:
    with real_server(tiny_model) as server, httpx.Client(base_url=server.url) as client:
        for path in ("/health/live", "/health/ready", "/metrics", "/", "/model", "/docs", "/v2/models/tiny"):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"] == got.headers["content-type"]
        assert client.head("/nothing").status_code == 404
        assert client.head("/predict").status_code == 405
        assert 'steel_requests_total{route="/health/ready",status="200"}' in client.get("/metrics").text
