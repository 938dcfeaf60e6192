"""Starting the application: in this process, or as a server process."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from service.http.protocol import ConnectionLimits, guarded_protocol

ROOT = Path(__file__).parents[2]
"""Root of the repository."""


class StartError(Exception):
    """A server process ended or did not answer in time; the message says why."""


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment_without_settings() -> dict[str, str]:
    """Return the environment of this process without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STEEL_")}


def wait_until_answering(
    process: subprocess.Popen[Any], failure: Callable[[], str | None], seconds: float
) -> None:
    """Wait until a server process answers.

    Args:
        process: the server.
        failure: sends a request; returns None if the answer is right, else what is wrong.
        seconds: longest wait.

    Raises:
        StartError: if the process ends, or the answer is still wrong at the end.
    """
    deadline = time.monotonic() + seconds
    reason: str | None = "no request was sent"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartError(f"it ended with code {process.returncode}")
        reason = failure()
        if reason is None:
            return
        time.sleep(0.05)
    raise StartError(f"it did not answer correctly within {seconds:.0f} s ({reason})")


@contextlib.asynccontextmanager
async def running_app(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Run the lifespan and yield a client of the application, without a network, once it is ready."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await until_ready(client)
            yield client


@contextlib.asynccontextmanager
async def running_uvicorn(app: FastAPI, limits: ConnectionLimits) -> AsyncIterator[int]:
    """Serve the application in this process, with the HTTP protocol of the service; yield its port."""
    port = free_port()
    config = uvicorn.Config(
        app,
        port=port,
        log_config=None,
        ws="none",
        lifespan="on",
        http=guarded_protocol(limits, app.state.metrics),
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())  # serve() would take the signals
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await serving


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait for readiness."""
    async with asyncio.timeout(20):
        while (await client.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.01)


class Server:
    """``python -m service`` as a separate process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, object]]]:
        """Send a signal; return the exit code and the log lines that were not read yet."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, [json.loads(line) for line in output.splitlines()]


@contextlib.contextmanager
def real_server(model: Path, *, trust: ssl.SSLContext | bool = True, **settings: object) -> Iterator[Server]:
    """Run the service on a free port, or ``port``; yield it once it is ready.

    Args:
        model: the model file.
        trust: httpx's ``verify``.
        settings: names of the service's settings.

    Raises:
        StartError: if the service ends or is not ready within a minute.
    """
    process = start_service(model, **settings)
    try:
        # With log_level=error the log does not contain the URL.
        url = f"http://127.0.0.1:{settings['port']}" if "port" in settings else _read_url(process)

        def failure() -> str | None:
            try:
                status = httpx.get(f"{url}/health/ready", verify=trust).status_code
            except httpx.TransportError as error:
                return repr(error)
            return None if status == 200 else f"status {status}"

        wait_until_answering(process, failure, 60)
        yield Server(process, url)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def service_environment(model: Path, **settings: object) -> dict[str, str]:
    """Return the environment of this process with these settings of the service and no others."""
    environment = environment_without_settings() | {
        "STEEL_MODEL": str(model),
        "STEEL_PORT": "0",
        "STEEL_DEVICE": "cpu",
    }
    return environment | {f"STEEL_{name.upper()}": str(value) for name, value in settings.items()}


def start_service(model: Path, **settings: object) -> subprocess.Popen[str]:
    """Start the service without waiting until it is ready."""
    return subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=service_environment(model, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _read_url(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise AssertionError("the server's output is not piped")
    for line in process.stdout:
        event = str(json.loads(line).get("event", ""))
        if "Uvicorn running on " in event:
            return event.split("Uvicorn running on ")[1].split()[0]
    raise AssertionError("the server ended before it listened")
