"""The application running: in this process, or as a real server."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
from fastapi import FastAPI

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def running_app(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Run the lifespan, wait until ready, and talk to the application without a network."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await until_ready(client)
            yield client


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait for readiness."""
    async with asyncio.timeout(20):
        while (await client.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.01)


class Server:
    """``python -m service`` as a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, object]]]:
        """Send a signal; answer the exit code and the log lines that were not read yet."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, [json.loads(line) for line in output.splitlines()]


@contextlib.contextmanager
def real_server(model: Path, *, trust: ssl.SSLContext | bool = True, **settings: object) -> Iterator[Server]:
    """Start the service on a free port, or ``port``, until it is ready; ``trust`` is httpx's ``verify``."""
    process = start_service(model, **settings)
    try:
        # A log that tells of errors only does not tell the port.
        url = f"http://127.0.0.1:{settings['port']}" if "port" in settings else _read_url(process)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health/ready", verify=trust).status_code == 200:
                    break
            time.sleep(0.05)
        yield Server(process, url)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def service_environment(model: Path, **settings: object) -> dict[str, str]:
    """This process' environment, with nothing of the service's but these settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STEEL_")}
    environment |= {"STEEL_MODEL": str(model), "STEEL_PORT": "0", "STEEL_DEVICE": "cpu"}
    return environment | {f"STEEL_{name.upper()}": str(value) for name, value in settings.items()}


def start_service(model: Path, **settings: object) -> subprocess.Popen[str]:
    """Start the service without waiting for anything."""
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
