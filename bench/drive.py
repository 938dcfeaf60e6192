"""Runs the generator as its own process, and takes what it prints."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.generator import Report
from bench.latency import Latency
from bench.processes import ROOT, Server

_LATENCIES = ("latency", "refusal_latency", "added_latency", "lag")


@dataclass(frozen=True)
class Measured:
    """A run of the generator against a server, with what it cost the server."""

    report: Report
    server_cpu_ms: float | None
    """Processor time of the server per right answer, warm-up included."""
    generator_cpu_ms: float | None
    """Processor time of the generator per request that was counted."""
    rss_mb: float
    """The server's memory at the end."""


def drive(server: Server, jobs: Path, **options: object) -> Measured:
    """Run the generator against a server.

    Args:
        server: what is asked.
        jobs: folder with what to ask.
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
    return Measured(
        report=report,
        server_cpu_ms=_per(1000 * (after - before), report.all_answered),
        generator_cpu_ms=_per(1000 * report.cpu_seconds, report.sent),
        rss_mb=server.rss_mb(),
    )


def read_report(values: dict[str, Any]) -> Report:
    """Read a report from its JSON."""
    return Report(**{**values, **{name: Latency(**values[name]) for name in _LATENCIES}})


def _per(total: float, count: int) -> float | None:
    return total / count if count else None
