"""What every section needs, and the two ways in which servers are loaded."""

from dataclasses import dataclass
from pathlib import Path

from bench.drive import Measured, drive
from bench.jobs import Job
from bench.options import Lengths
from bench.processes import Server
from service.model.cpu_quota import cpu_quota

_CONNECTIONS_PER_CORE = 4


@dataclass(frozen=True)
class Bench:
    """One benchmark's model, strips and lengths."""

    model: Path
    """The ONNX file."""
    jobs: list[Job]
    jobs_folder: Path
    """The same as files."""
    out: Path
    lengths: Lengths

    @property
    def logs(self) -> Path:
        """Where servers print to."""
        return self.out / "logs"

    def first_job(self) -> Job:
        """The strip by which a server shows that it works: one with a defect, if there is one."""
        return next((job for job in self.jobs if job.defective), self.jobs[0])

    def saturate(self, server: Server, settle: float = 0.0) -> Measured:
        """Keep every core busy: a closed loop, with ``settle`` seconds more of warm-up."""
        return drive(
            server,
            self.jobs_folder,
            connections=_CONNECTIONS_PER_CORE * cpu_quota(),
            seconds=self.lengths.closed_seconds + settle,
            warm_up=self.lengths.warm_up + settle,
        )

    def open_loop(self, server: Server, rate: float, seconds: float | None = None) -> Measured:
        """Send at a rate, whatever comes back."""
        return drive(
            server,
            self.jobs_folder,
            rate=rate,
            seconds=seconds or self.lengths.open_seconds,
            warm_up=self.lengths.warm_up,
        )
