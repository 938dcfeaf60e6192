"""Server processes of the benchmark: output in a file, measured together with their children."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.jobs import Job
from bench.protocols import protocols
from tests.support.serving import StartError, environment_without_settings, wait_until_answering

_STOP_SECONDS = 20


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    url: str
    protocol: str
    """Key of ``bench.protocols``."""
    process: psutil.Process

    def tree(self) -> list[psutil.Process]:
        """Return the process and its children."""
        return _tree(self.process)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and its children so far."""
        total = 0.0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def rss_mb(self) -> float:
        """Return the resident memory of the process and its children in MB; shared pages count in each."""
        total = 0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 1e6


def pin(process: psutil.Process, processor: int) -> None:
    """Pin a process to one processor, with its threads and those that it starts later."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {processor})


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
    """Run a server with its children; yield it once it answers ``job`` correctly.

    Args:
        name: name in reports.
        command: command line of the server.
        port: its port on 127.0.0.1.
        protocol: key of ``bench.protocols``.
        environment: added to the environment of this process without STEEL_ settings.
        folder: working folder of the server.
        log: file for its output; an unread pipe would block it.
        job: the first strip.
        seconds: longest wait for its answer.

    Raises:
        StartError: if the server ends or does not answer in time, with the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment_without_settings(), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C reaches the benchmark only, which then stops the server
            )
        except OSError as error:
            raise StartError(f"cannot start {name}: {error}") from error
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_answer(process, url, protocol, job, log, seconds)
            yield Server(name, url, protocol, psutil.Process(process.pid))
        finally:
            _stop(process)


def _wait_for_answer(
    process: subprocess.Popen[bytes], url: str, protocol: str, job: Job, log: Path, seconds: float
) -> None:
    chosen = protocols()[protocol]

    def failure() -> str | None:
        try:
            response = httpx.post(
                url + chosen.path, content=chosen.body(job.jpeg), headers=dict(chosen.headers), timeout=30
            )
        except httpx.TransportError as error:
            return repr(error)
        if response.status_code == 200 and chosen.read(response.content).classes == job.answer:
            return None
        return f"status {response.status_code}: {response.text[:200]}"

    try:
        wait_until_answering(process, failure, seconds)
    except StartError as error:
        raise StartError(f"{error}: {_end_of(log)}") from error


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])[-400:] or "no output"


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the server; kill it and its children if they are still there after 20 s."""
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
