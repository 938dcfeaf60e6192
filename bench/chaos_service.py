"""The service of the chaos run, under a supervisor: kill, reload, read counters."""

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.model.repository import checksum_file, write_checksum
from tests.support.serving import ROOT, environment_without_settings, free_port
from tests.support.tiny_model import VALUES, tiny_graph, tiny_metadata, write_model, write_tiny_model

KEY = "chaos"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Counters:
    """Last counters of one process of the service."""

    received: int
    """Requests of every route."""
    in_progress: int
    """Of every route, including the request that read this."""
    ended: int
    """Of every route."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Finished requests of /predict, by status or ``left``."""


class Models:
    """Folder of a model with growing versions: even ones are the tiny model, odd ones reverse its values."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 1
        self.write(self.version)

    def write(self, version: int) -> Path:
        """Write a version."""
        values = VALUES if version % 2 == 0 else VALUES[::-1]
        return write_tiny_model(self._path(version), str(version), values)

    def add_good(self) -> None:
        """Add the next version."""
        self.version += 1
        self.write(self.version)

    def add_bad(self, number: int) -> Path:
        """Add a next version with one of several faults; return its file."""
        path = self.write(self.version + 1)
        if number % 4 == 0:
            checksum_file(path).unlink()
        elif number % 4 == 1:
            path.write_bytes(path.read_bytes()[:-100])
        elif number % 4 == 2:
            path.write_bytes(path.read_bytes()[:500])
            write_checksum(path)
        else:  # the golden strip of the other kind
            write_model(path, tiny_graph(VALUES), tiny_metadata("0", VALUES[::-1]).model_dump_json())
        return path

    def _path(self, version: int) -> Path:
        return self.folder / str(version) / "model.onnx"


class SupervisedService:
    """``python -m service``, restarted whenever it ends; an async context manager.

    Args:
        models: the models that it serves.
        log: file for its output.
    """

    def __init__(self, models: Models, log: Path) -> None:
        self._models = models
        self._log = log
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.life = 0
        self.exit_codes: list[int] = []
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient(base_url=self.url, timeout=20, headers={"X-API-Key": KEY})

    async def __aenter__(self) -> Self:
        self._supervisor = asyncio.create_task(self._supervise())
        await self.until_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _supervise(self) -> None:
        settings = {
            "STEEL_MODEL": str(self._models.folder),
            "STEEL_PORT": str(self._port),
            "STEEL_DEVICE": "cpu",
            "STEEL_API_KEY": KEY,
        }
        with self._log.open("ab") as output:
            while True:
                self.life += 1
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "service",
                    cwd=ROOT,
                    env=environment_without_settings() | settings,
                    stdout=output,
                    stderr=output,
                )
                self.exit_codes.append(await self._process.wait())
                if self.exit_codes[-1] == 0:
                    return

    async def until_ready(self) -> None:
        """Wait until the service is ready.

        Raises:
            TimeoutError: if it is not ready within a minute.
        """
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await self._client.get("/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if self._process is None:
            raise AssertionError("nothing to kill")
        self._process.send_signal(signal.SIGKILL)

    async def next_life(self, life: int) -> None:
        """Wait until the process after ``life`` is ready."""
        async with asyncio.timeout(_START_SECONDS):
            while self.life == life:
                await asyncio.sleep(0.01)
        await self.until_ready()

    async def reload(self) -> tuple[int, dict[str, object]]:
        """Request a reload; return status and body."""
        response = await self._client.post("/model/reload")
        return response.status_code, response.json()

    async def counters(self) -> Counters:
        """Return the counters of this process."""
        text = (await self._client.get("/metrics")).raise_for_status().text
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]

        def total(name: str) -> int:
            return int(sum(sample.value for sample in samples if sample.name == name))

        return Counters(
            received=total("steel_requests_received_total"),
            in_progress=total("steel_requests_in_progress"),
            ended=total("steel_requests_total"),
            statuses={
                sample.labels["status"]: int(sample.value)
                for sample in samples
                if sample.name == "steel_requests_total" and sample.labels["route"] == "/predict"
            },
        )

    async def settled_counters(self) -> Counters:
        """Return the counters once no request is in progress."""
        async with asyncio.timeout(20):
            while (counters := await self.counters()).in_progress > 1:
                await asyncio.sleep(0.05)
        return counters

    async def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        if self._process is None or self._supervisor is None:
            raise AssertionError("nothing to stop")
        self._process.terminate()
        async with asyncio.timeout(40):
            await asyncio.wait([self._supervisor])
        return self.exit_codes[-1]
