"""What a person at a terminal sees of a start, and what closing the terminal does."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.serving import ROOT, free_port, real_server, service_environment, start_service
from tests.support.tls import make_pair
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ENVIRONMENT = Path(sys.executable).parents[1]
SERVICE = f"{sys.executable} -m service"
MAKE_SERVE = f"make --silent --old-file={ENVIRONMENT}/.installed SERVE_ENV={ENVIRONMENT} serve"


@pytest.mark.parametrize("setting", ["port", "host"])
def test_what_cannot_listen_says_why_in_one_line_and_nothing_else(tiny_model: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = {"port": port} if setting == "port" else {"host": "192.0.2.1"}
        process = start_service(tiny_model, **wrong)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (
        output
        == {
            "port": f"error: STEEL_PORT: port {port} of 127.0.0.1 is in use by another program\n",
            "host": "error: STEEL_HOST: expected an address of this machine, or a name of one, "
            "got '192.0.2.1'\n",
        }[setting]
    )


def test_make_says_it_too(tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = service_environment(tiny_model, port=port)
        done = subprocess.run(
            MAKE_SERVE.split(), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode != 0
    assert "http" not in done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert lines == [f"error: STEEL_PORT: port {port} of 127.0.0.1 is in use by another program"]


def test_a_model_that_is_refused_is_the_last_line(tmp_path: Path) -> None:
    process = start_service(tmp_path / "nope")
    output, _ = process.communicate(timeout=60)
    lines = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 1
    assert (lines[-1]["level"], lines[-1]["event"]) == ("error", "the service has ended")
    assert lines[-1]["reason"] == f"there is no model at {tmp_path}/nope"
    events = [line["event"] for line in lines]
    behind = events[events.index("the model cannot be served") :]
    assert not [event for event in behind if "running" in event or "ready" in event]


def first_lines(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, str] = json.loads(line)
        if "Uvicorn running on" in found["event"]:
            return found
    raise AssertionError("it ended before it listened")


def test_the_addresses_that_are_printed_work(tiny_model: Path, tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "pair") if shutil.which("openssl") else None
    tls = {} if pair is None else {"tls_certificate": pair.certificate, "tls_key": pair.key}
    for settings in ({}, {"host": "0.0.0.0"}, tls, tls | {"host": "0.0.0.0"}):
        process = start_service(tiny_model, **settings)
        try:
            line = first_lines(process)
            scheme = "https" if "tls_key" in settings else "http"
            host = settings.get("host", "127.0.0.1")
            assert f"Uvicorn running on {scheme}://{host}:" in line["event"]
            for name, text in (("page", "Steel strip defects"), ("api", "swagger-ui")):
                assert line[name].startswith(f"{scheme}://")
                assert text in httpx.get(line[name], verify=False).text
        finally:
            process.kill()
            process.communicate()


def test_pages_that_are_not_there_are_not_named(tiny_model: Path) -> None:
    process = start_service(tiny_model, page="off", docs="key", api_key="k")
    try:
        assert {"page", "api"} & set(first_lines(process)) == set()
    finally:
        process.kill()
        process.communicate()


def take_terminal() -> None:
    """Make standard input the terminal of this process, as a login does, with no signal ignored."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def on_a_terminal(command: str, model: Path, log: Path, port: int) -> Iterator[tuple[psutil.Process, int]]:
    """Run a command in a shell on a terminal; yield the service's process and the terminal's other end."""
    terminal, end = os.openpty()
    shell = subprocess.Popen(
        ["sh", "-c", f"{command} >{log} 2>&1; true"],
        cwd=ROOT,
        env=service_environment(model, port=port),
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(end)
    service = None
    try:
        until(lambda: log.exists() and "model ready" in log.read_text())
        service = next(
            one
            for one in psutil.Process(shell.pid).children(recursive=True)
            if one.cmdline()[1:] == ["-m", "service"]
        )
        yield service, terminal
    finally:
        if service is not None and service.is_running():
            service.kill()
        shell.kill()
        shell.wait()


@pytest.mark.parametrize("command", [SERVICE, MAKE_SERVE])
def test_closing_the_terminal_ends_the_service(tiny_model: Path, tmp_path: Path, command: str) -> None:
    port, log = free_port(), tmp_path / "log"
    with on_a_terminal(command, tiny_model, log, port) as (service, terminal):
        service.send_signal(signal.SIGHUP)  # the terminal is there: a reload
        until(lambda: '"outcome": "unchanged"' in log.read_text())
        assert httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
        os.close(terminal)
        until(lambda: not service.is_running() or service.status() == psutil.STATUS_ZOMBIE)
    assert "Finished server process" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_nohup_outlives_its_terminal(tiny_model: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with on_a_terminal(f"nohup {SERVICE}", tiny_model, log, port) as (service, terminal):
        os.close(terminal)
        time.sleep(1)
        service.send_signal(signal.SIGHUP)
        until(lambda: '"outcome": "unchanged"' in log.read_text())
        assert httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200


def test_without_a_terminal_the_signal_reloads(tiny_model: Path) -> None:
    with real_server(tiny_model) as server:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: 'reloads_total{outcome="unchanged"} 1.0' in httpx.get(f"{server.url}/metrics").text)
