"""Servers as processes of their own: output in a file, measured with all their children."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.jobs import Job
from bench.protocols import protocols

ROOT = Path(__file__).parents[1]
_STOP_SECONDS = 20


class StartError(Exception):
    """The server did not come to answer; the message says why."""


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    name: str
    url: str
    protocol: str
    """Key in ``bench.protocols``."""
    process: psutil.Process

    def tree(self) -> list[psutil.Process]:
        """The process and its children."""
        return _tree(self.process)

    def cpu_seconds(self) -> float:
        """Processor time of the process and its children so far."""
        total = 0.0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def rss_mb(self) -> float:
        """Resident memory of the process and its children, in MB; shared pages count in each."""
        total = 0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 1e6


def pin(process: psutil.Process, processor: int) -> None:
    """Let a process and its threads run on one processor only; threads that it starts later, too."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {processor})


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running_server(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    protocol: str,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    job: Job,
    seconds: float = 90.0,
) -> Iterator[Server]:
    """Start a server, wait until it answers ``job`` rightly, and stop it with its children in the end.

    Args:
        name: for reports.
        command: what to run.
        port: where it will listen on 127.0.0.1.
        protocol: how to ask it.
        environment: added to this process' own, without its STEEL_ settings.
        folder: where to run it.
        log: file for its output; a pipe that nobody reads would block it.
        job: the first strip.
        seconds: how long it may take to answer that.

    Raises:
        StartError: if it ends or does not answer in time, with the end of its output.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("STEEL_")}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**inherited, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C is for the benchmark, which then stops it
            )
        except OSError as error:
            raise StartError(f"{name} cannot be started: {error}") from error
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_answer(process, url, protocol, job, log, seconds)
            yield Server(name, url, protocol, psutil.Process(process.pid))
        finally:
            _stop(process)


def _wait_for_answer(
    process: subprocess.Popen[bytes], url: str, protocol: str, job: Job, log: Path, seconds: float
) -> None:
    asked = protocols()[protocol]
    until = time.monotonic() + seconds
    last = "no reply"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise StartError(f"it ended with code {process.returncode}: {_end_of(log)}")
        try:
            response = httpx.post(
                url + asked.path, content=asked.body(job.jpeg), headers=dict(asked.headers), timeout=30
            )
        except httpx.TransportError as error:
            last = repr(error)
        else:
            last = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code == 200 and asked.read(response.content).classes == job.answer:
                return
        time.sleep(0.1)
    raise StartError(f"it did not answer rightly within {seconds:.0f} s ({last}): {_end_of(log)}")


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])[-400:] or "it printed nothing"


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started, by force if asking does not help."""
    tree = []
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = _tree(psutil.Process(process.pid))
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    for left in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    process.wait()
