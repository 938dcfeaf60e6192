"""The service with a model that costs nothing: what a request costs, and whether memory grows."""

from dataclasses import dataclass
from pathlib import Path

from service.cpu_quota import cpu_quota
from service.session import OrtSession
from tests.load.drive import Measured, drive
from tests.load.jobs import write_jobs
from tests.load.options import Lengths
from tests.load.our_service import running_service
from tests.load.workload import answer_jobs
from tests.tiny_model import write_tiny_model

_CONNECTIONS_PER_CORE = 4


@dataclass(frozen=True)
class Tiny:
    """Two closed loops after each other on one service."""

    requests: tuple[int, int]
    """Answers after which memory was read."""
    early: Measured
    late: Measured

    @property
    def growth(self) -> float:
        """Memory after the second over memory after the first."""
        return self.late.rss_mb / self.early.rss_mb

    @property
    def runs(self) -> list[Measured]:
        """Every run, for wrong answers."""
        return [self.early, self.late]


def measure_tiny(files: list[bytes], folder: Path, logs: Path, lengths: Lengths) -> Tiny:
    """Serve the tiny model of the tests.

    Args:
        files: image files to send.
        folder: for the model and the jobs.
        logs: for the service's output.
        lengths: after how many answers memory is read.
    """
    model = write_tiny_model(folder / "tiny" / "1" / "model.onnx")
    jobs = answer_jobs(files, OrtSession(model, device="cpu", threads=1))
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
