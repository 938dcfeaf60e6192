"""``python -m tests.load.ray_serve``: what Ray Serve costs, and what a second replica brings.

Three ways in turn, round after round, in closed loop: the service on one processor, one replica of one, two
replicas of one each; with the default model for throughput, with the tiny one for what a request costs.
"""

import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from service.model_repository import find_model
from service.session import open_session
from tests.load.drive import Measured, drive
from tests.load.jobs import Job, write_jobs
from tests.load.processes import ROOT, Server, free_port, running_server
from tests.load.tiny import tiny_files
from tests.load.workload import answer_jobs, image_files
from tests.tiny_model import write_tiny_model

WAYS = ("service, 1 processor", "1 replica", "2 replicas")


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
    runs: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            with _server(way, model, jobs[0], folder) as server:
                runs[way].append(drive(server, where, connections=8, seconds=options.seconds, warm_up=3.0))
    for way, found in runs.items():
        rates = [one.report.throughput for one in found]
        costs = [one.server_cpu_ms for one in found if one.server_cpu_ms is not None]
        wrong = sum(one.report.wrong + one.report.failed for one in found)
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        print(
            f"  {way:<22} {statistics.median(rates):7.1f} strips/s (runs: {each})"
            f"  {statistics.median(costs):6.1f} ms of processor time a strip, all processes"
            f"  p50 {statistics.median(one.report.latency.p50 or 0 for one in found):.0f} ms  wrong {wrong}",
            flush=True,
        )
    ratios = [
        two.report.throughput / one.report.throughput
        for one, two in zip(runs[WAYS[1]], runs[WAYS[2]], strict=True)
    ]
    print(f"  2 replicas / 1: {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)


@contextlib.contextmanager
def _server(way: str, model: Path, job: Job, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "service"]
    if way != WAYS[0]:
        command = ["-m", "steel_ray", "--replicas", way.split()[0]]
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
        yield server


if __name__ == "__main__":
    measure(tyro.cli(Options))
