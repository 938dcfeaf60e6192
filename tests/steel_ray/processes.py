"""``python -m steel_ray`` as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.serving import ROOT, free_port, service_environment


@contextmanager
def running_replicas(
    model: Path, replicas: int, log: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start replicas, wait until they answer, and stop them at the end.

    Yields:
        The process and its URL.
    """
    port = free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "steel_ray", "--replicas", str(replicas), "--port", str(port)],
            cwd=ROOT,
            env=service_environment(model, log_level="error") | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 90
        while "Page: http" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
