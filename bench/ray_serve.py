"""``python -m bench.ray_serve``: the cost of Ray Serve, and the gain of a second replica.

Three setups in turn, round after round: the service on one processor, one replica on one processor, two
replicas on one processor each. Each runs in a closed loop for throughput, then in an open loop at a common
rate; with the default model, and with one that costs nothing, to measure the cost of a request.
``RAY_SERVE_ENABLE_HA_PROXY=1`` in the environment puts HAProxy in front of the replicas.

The service and each replica are pinned to a processor, since Ray only counts processors: a replica with one
processor would decode and encode on any other that is idle. Generator, proxy and Ray's own processes are not
pinned.
"""

import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from bench.drive import LoadRun, drive
from bench.jobs import Job, write_jobs
from bench.processes import Server, pin, running_server
from bench.tiny import tiny_files
from bench.workload import build_jobs, image_files
from service.model.loading import open_session
from service.model.repository import find_model
from tests.support.serving import ROOT, free_port
from tests.support.tiny_model import write_tiny_model

_OPEN_SHARE = 0.3
"""Rate of the open loop as a share of the service's throughput; every setup keeps up with it."""

_REPLICA = "ray::ServeReplica"
"""Beginning of the name of Ray's replica processes."""

ALONE, ONE, TWO = "service, 1 processor", "1 replica", "2 replicas"
REPLICAS = {ALONE: 0, ONE: 1, TWO: 2}
"""Replicas of each setup; 0 is the service without Ray."""


@dataclass(frozen=True)
class Options:
    """Measure Ray Serve and the service alone."""

    model: Path = Path("models/steel-unet-resnet18-fast")
    """Model: a file or a folder, as for the service."""
    data: Path | None = None
    """Strips in Kaggle's layout; default: drawn strips."""
    rounds: int = 3
    """Rounds of all setups."""
    seconds: float = 12.0
    """Duration of a run, warm-up included."""


def measure(options: Options) -> None:
    """Measure and print medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny = write_tiny_model(folder / "tiny" / "1" / "model.onnx")
        for title, model, files in (
            ("default model", find_model(options.model), image_files(options.data, 20)),
            ("model that costs nothing", tiny, tiny_files(20)),
        ):
            print(f"{title}, {options.rounds} rounds of {options.seconds:g} s", flush=True)
            _compare(options, model, files, folder)


def _compare(options: Options, model: Path, files: list[bytes], folder: Path) -> None:
    jobs = build_jobs(files, open_session(model, device="cpu", threads=1))
    where = folder / "jobs"
    write_jobs(jobs, where)
    runs: dict[str, list[LoadRun]] = {way: [] for way in REPLICAS}
    open_runs: dict[str, list[LoadRun]] = {way: [] for way in REPLICAS}
    for _ in range(options.rounds):
        for way in REPLICAS:
            with _server(way, model, jobs[0], folder) as server:
                length = {"seconds": options.seconds, "warm_up": 3.0}
                runs[way].append(drive(server, where, connections=8, **length))
                rate = _OPEN_SHARE * runs[ALONE][0].report.throughput
                open_runs[way].append(drive(server, where, rate=rate, **length))
    print("  closed loop, 8 connections")
    _print(runs)
    print(f"  open loop, {rate:.1f} strips/s")
    _print(open_runs)
    ratios = [
        two.report.throughput / one.report.throughput for one, two in zip(runs[ONE], runs[TWO], strict=True)
    ]
    print(f"  2 replicas / 1: {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)


def _print(runs: dict[str, list[LoadRun]]) -> None:
    """Print medians over the rounds."""
    for way, found in runs.items():
        reports = [one.report for one in found]
        rates = [one.throughput for one in reports]
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        p50 = statistics.median(one.latency.p50 or 0 for one in reports)
        p99 = statistics.median(one.latency.p99 or 0 for one in reports)
        cost = statistics.median(one.server_cpu_ms or 0 for one in found)
        print(
            f"    {way:<20} {statistics.median(rates):6.1f} strips/s ({each})  "
            f"p50 {p50:.0f} p99 {p99:.0f} ms  CPU time of all processes {cost:.1f} ms per strip  "
            f"wrong {sum(one.wrong + one.failed for one in reports)}",
            flush=True,
        )


@contextlib.contextmanager
def _server(way: str, model: Path, job: Job, folder: Path) -> Iterator[Server]:
    port = free_port()
    replicas = REPLICAS[way]
    command = ["-m", "steel_ray", "--replicas", str(replicas)] if replicas else ["-m", "service"]
    settings = {"MODEL": str(model.resolve()), "DEVICE": "cpu", "LOG_LEVEL": "error", "PORT": str(port)}
    with running_server(
        way,
        [sys.executable, *command],
        port=port,
        protocol="service",
        # One thread for the service alone; Ray sets this for each replica itself.
        environment={"OMP_NUM_THREADS": "1"} | {f"STEEL_{key}": value for key, value in settings.items()},
        folder=ROOT,
        log=folder / "server.log",
        job=job,
    ) as server:
        _pin(server, replicas)
        yield server


def _pin(server: Server, replicas: int) -> None:
    """Pin the service, or each replica, to a processor."""
    pinned = [server.process]
    if replicas:
        pinned = [one for one in server.tree() if " ".join(one.cmdline()).startswith(_REPLICA)]
        if len(pinned) != replicas:
            raise RuntimeError(f"expected {replicas} processes named {_REPLICA}*, got {len(pinned)}")
    processors = sorted(os.sched_getaffinity(0))[: len(pinned)]
    for process, processor in zip(pinned, processors, strict=True):
        pin(process, processor)


if __name__ == "__main__":
    measure(tyro.cli(Options))
