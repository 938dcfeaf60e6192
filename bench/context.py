"""Inputs of every section, and the two kinds of load: closed and open loop."""

from dataclasses import dataclass
from pathlib import Path

from bench.drive import LoadRun, drive
from bench.jobs import Job
from bench.options import Lengths
from bench.processes import Server
from service.model.cpu_quota import cpu_quota

_CONNECTIONS_PER_CORE = 4


@dataclass(frozen=True)
class BenchContext:
    """Model, strips and durations of a benchmark."""

    model: Path
    """The ONNX file."""
    jobs: list[Job]
    jobs_folder: Path
    """The jobs as files."""
    out: Path
    lengths: Lengths

    @property
    def logs(self) -> Path:
        """Folder for the output of servers."""
        return self.out / "logs"

    def first_job(self) -> Job:
        """Return the first strip of a new server: one with a defect, if there is one."""
        return next((job for job in self.jobs if job.defective), self.jobs[0])

    def saturate(self, server: Server, settle: float = 0.0) -> LoadRun:
        """Run a closed loop that keeps every core busy, with ``settle`` more seconds of warm-up."""
        return drive(
            server,
            self.jobs_folder,
            connections=_CONNECTIONS_PER_CORE * cpu_quota(),
            seconds=self.lengths.closed_seconds + settle,
            warm_up=self.lengths.warm_up + settle,
        )

    def open_loop(self, server: Server, rate: float, seconds: float | None = None) -> LoadRun:
        """Run an open loop at a rate."""
        return drive(
            server,
            self.jobs_folder,
            rate=rate,
            seconds=seconds or self.lengths.open_seconds,
            warm_up=self.lengths.warm_up,
        )
