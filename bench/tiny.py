"""The service with a model that costs nothing: what a request costs, and whether memory grows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.drive import LoadRun, drive
from bench.jobs import write_jobs
from bench.options import Lengths
from bench.our_service import running_service
from bench.workload import build_jobs, jpeg
from service.model.cpu_quota import cpu_quota
from service.model.session import OrtSession
from tests.support.tiny_model import TILE, write_tiny_model

_CONNECTIONS_PER_CORE = 4
_STRIPS = 20
_GRAIN = 3.0
"""Noise that makes JPEGs of about 90 kB."""


@dataclass(frozen=True)
class Tiny:
    """Two consecutive closed loops on one service."""

    requests: tuple[int, int]
    """Numbers of answers after which memory was read."""
    early: LoadRun
    late: LoadRun

    @property
    def growth(self) -> float:
        """Memory after the second loop divided by memory after the first."""
        return self.late.rss_mb / self.early.rss_mb

    @property
    def runs(self) -> list[LoadRun]:
        """All runs."""
        return [self.early, self.late]


def tiny_files(count: int) -> list[bytes]:
    """Draw JPEGs as large as photographed strips, every second one with two blocks of defects.

    The tiny model finds a class where a pixel has exactly its value, which on ordinary strips would be
    scattered pixels with longer codes than any mask. So the steel stays between 100 and 150, the values of
    classes 2 and 3, and blocks fill whole cells of the JPEG, which keeps their value.
    """
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        strip = rng.normal(125, _GRAIN, TILE).clip(108, 142).astype(np.uint8)
        if number % 2:
            strip[40:168, 320:480] = 50
            strip[64:192, 960:1040] = 200
        files.append(jpeg(strip))
    return files


def measure_tiny(folder: Path, logs: Path, lengths: Lengths) -> Tiny:
    """Measure the service with the tiny model of the tests.

    Args:
        folder: folder for the model and the jobs.
        logs: folder for the service's output.
        lengths: numbers of answers after which memory is read.
    """
    model = write_tiny_model(folder / "tiny" / "1" / "model.onnx")
    jobs = build_jobs(tiny_files(_STRIPS), OrtSession(model, device="cpu", threads=1))
    write_jobs(jobs, folder / "jobs")
    first, all_of_them = lengths.tiny_requests
    with running_service(model, logs, jobs[0], name="tiny", max_queue_size=4096) as server:
        early, late = (
            drive(
                server,
                folder / "jobs",
                connections=_CONNECTIONS_PER_CORE * cpu_quota(),
                requests=count,
                warm_up=lengths.warm_up / 2,
            )
            for count in (first, all_of_them - first)
        )
    return Tiny(lengths.tiny_requests, early, late)
