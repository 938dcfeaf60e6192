"""Runs of the generator in a separate process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.generator import Report
from bench.latency import Latency
from bench.processes import Server
from tests.support.serving import ROOT

_LATENCIES = ("latency", "refusal_latency", "added_latency", "lag")


@dataclass(frozen=True)
class LoadRun:
    """A run of the generator against a server, with the server's cost."""

    report: Report
    server_cpu_ms: float | None
    """CPU time of the server per correct answer, warm-up included."""
    generator_cpu_ms: float | None
    """CPU time of the generator per counted request."""
    rss_mb: float
    """Resident memory of the server at the end."""


def drive(server: Server, jobs: Path, **options: object) -> LoadRun:
    """Run the generator against a server.

    Args:
        server: the server under test.
        jobs: folder of the jobs.
        options: fields of ``bench.generator.Load``.

    Raises:
        RuntimeError: if the generator itself fails.
    """
    arguments = {"url": server.url, "jobs": jobs, "protocol": server.protocol, **options}
    command = [sys.executable, "-m", "bench.generator"]
    for name, value in arguments.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    before = server.cpu_seconds()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    after = server.cpu_seconds()
    if result.returncode != 0:
        raise RuntimeError(f"the generator failed: {result.stderr.strip()[-1000:]}")
    report = read_report(json.loads(result.stdout))
    return LoadRun(
        report=report,
        server_cpu_ms=_per(1000 * (after - before), report.all_answered),
        generator_cpu_ms=_per(1000 * report.cpu_seconds, report.sent),
        rss_mb=server.rss_mb(),
    )


def read_report(values: dict[str, Any]) -> Report:
    """Return the report of a JSON object."""
    return Report(**{**values, **{name: Latency(**values[name]) for name in _LATENCIES}})


def _per(total: float, count: int) -> float | None:
    return total / count if count else None
