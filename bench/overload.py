"""The service at twice what it can do, with deadlines."""

from dataclasses import dataclass

from bench.bench import Bench
from bench.drive import Measured, drive
from bench.our_service import running_service

_TIMES_SATURATION = 2.0


@dataclass(frozen=True)
class Overload:
    """Twice the saturation, with the saturation measured around it."""

    deadline_ms: int
    before: Measured
    overloaded: Measured
    after: Measured

    @property
    def saturation(self) -> float:
        """Right answers a second in closed loops before and after, mean."""
        return (self.before.report.throughput + self.after.report.throughput) / 2

    @property
    def kept(self) -> float:
        """Right answers a second under overload, as a share of the saturation."""
        return self.overloaded.report.throughput / self.saturation if self.saturation else 0.0

    @property
    def runs(self) -> list[Measured]:
        """Every run, for wrong answers."""
        return [self.before, self.overloaded, self.after]


def measure_overload(bench: Bench, deadline_ms: int) -> Overload:
    """Measure a new service before, under and after overload."""
    with running_service(bench.model, bench.logs, bench.first_job(), name="overloaded") as server:
        before = bench.saturate(server)
        overloaded = drive(
            server,
            bench.jobs_folder,
            rate=_TIMES_SATURATION * before.report.throughput,
            seconds=bench.lengths.overload_seconds,
            warm_up=bench.lengths.warm_up,
            deadline_ms=deadline_ms,
        )
        after = bench.saturate(server)
    return Overload(deadline_ms, before, overloaded, after)
