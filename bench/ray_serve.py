"""``python -m bench.ray_serve``: what Ray Serve costs, and what a second replica brings.

Three ways in turn, round after round: the service on one processor, one replica of one, two replicas of one
each; in closed loop for throughput, then in open loop at one rate for all; with the default model, and with
one that costs nothing, for what a request costs. ``RAY_SERVE_ENABLE_HA_PROXY=1`` in the environment puts
HAProxy in front of the replicas.

The service and each replica are pinned to a processor of their own, since Ray only counts processors: a
replica of one would read files and write answers on another that happens to be idle. Generator, proxy and
Ray's own processes run where they find room.
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

from bench.drive import Measured, drive
from bench.jobs import Job, write_jobs
from bench.processes import ROOT, Server, free_port, pin, running_server
from bench.tiny import tiny_files
from bench.workload import answer_jobs, image_files
from service.model.loading import open_session
from service.model.repository import find_model
from tests.support.tiny_model import write_tiny_model

_OPEN_SHARE = 0.3
"""Of what the service alone answers: a rate that every way keeps up with."""

_REPLICA = "ray::ServeReplica"
"""How Ray's processes that serve are named."""

ALONE, ONE, TWO = "service, 1 processor", "1 replica", "2 replicas"
REPLICAS = {ALONE: 0, ONE: 1, TWO: 2}
"""Of each way; 0 is the service without Ray."""


@dataclass(frozen=True)
class Options:
    """Measure Ray Serve beside the service alone."""

    model: Path = Path("models/steel-unet-resnet18-fast")
    """The model: a file or a folder, as for the service."""
    data: Path | None = None
    """Strips in Kaggle's layout; drawn ones otherwise."""
    rounds: int = 3
    seconds: float = 12.0
    """Of a run, warm-up included."""


def measure(options: Options) -> None:
    """Measure and print a table with medians."""
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
    jobs = answer_jobs(files, open_session(model, device="cpu", threads=1))
    where = folder / "jobs"
    write_jobs(jobs, where)
    runs: dict[str, list[Measured]] = {way: [] for way in REPLICAS}
    open_runs: dict[str, list[Measured]] = {way: [] for way in REPLICAS}
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


def _print(runs: dict[str, list[Measured]]) -> None:
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
            f"p50 {p50:.0f} p99 {p99:.0f} ms  processor time of all processes {cost:.1f} ms a strip  "
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
        # One processor for the service alone; Ray says so to each replica itself.
        environment={"OMP_NUM_THREADS": "1"} | {f"STEEL_{key}": value for key, value in settings.items()},
        folder=ROOT,
        log=folder / "server.log",
        job=job,
    ) as server:
        _pin(server, replicas)
        yield server


def _pin(server: Server, replicas: int) -> None:
    """Give the service, or each replica, a processor of its own."""
    pinned = [server.process]
    if replicas:
        pinned = [one for one in server.tree() if " ".join(one.cmdline()).startswith(_REPLICA)]
        if len(pinned) != replicas:
            raise RuntimeError(f"{replicas} processes named {_REPLICA}* are wanted; found {len(pinned)}")
    processors = sorted(os.sched_getaffinity(0))[: len(pinned)]
    for process, processor in zip(pinned, processors, strict=True):
        pin(process, processor)


if __name__ == "__main__":
    measure(tyro.cli(Options))
