"""The service at twice its saturation, with deadlines."""

from dataclasses import dataclass

from bench.context import BenchContext
from bench.drive import LoadRun, drive
from bench.our_service import running_service

_TIMES_SATURATION = 2.0


@dataclass(frozen=True)
class Overload:
    """Loads at saturation, at twice the saturation, and at saturation again."""

    deadline_ms: int
    before: LoadRun
    overloaded: LoadRun
    after: LoadRun

    @property
    def saturation(self) -> float:
        """Mean of correct answers per second in the closed loops before and after."""
        return (self.before.report.throughput + self.after.report.throughput) / 2

    @property
    def kept(self) -> float:
        """Correct answers per second under overload, as a share of the saturation."""
        return self.overloaded.report.throughput / self.saturation if self.saturation else 0.0

    @property
    def runs(self) -> list[LoadRun]:
        """All runs."""
        return [self.before, self.overloaded, self.after]


def measure_overload(context: BenchContext, deadline_ms: int) -> Overload:
    """Measure a new service before, during and after overload."""
    with running_service(context.model, context.logs, context.first_job(), name="overloaded") as server:
        before = context.saturate(server)
        overloaded = drive(
            server,
            context.jobs_folder,
            rate=_TIMES_SATURATION * before.report.throughput,
            seconds=context.lengths.overload_seconds,
            warm_up=context.lengths.warm_up,
            deadline_ms=deadline_ms,
        )
        after = context.saturate(server)
    return Overload(deadline_ms, before, overloaded, after)
