"""The service at saturation, compared with the ceiling; at half of it; and nearly idle."""

import statistics
from dataclasses import dataclass

from bench.ceilings import Ceiling, Setting
from bench.context import BenchContext
from bench.drive import LoadRun
from bench.our_service import StageStatistics, running_service, scrape, subtract


@dataclass(frozen=True)
class Round:
    """Throughput of the ceiling and, right after it, of the service, in strips per second."""

    ceiling: float
    service: float


@dataclass(frozen=True)
class ServiceLoad:
    """Results of the service under three loads."""

    rounds: list[Round]
    saturation: float
    """Correct answers per second in a closed loop, median over rounds."""
    share_of_ceiling: float
    """Service divided by the pipeline's ceiling, median over rounds."""
    at_saturation: LoadRun
    """The last round."""
    inside_at_saturation: StageStatistics
    """All rounds."""
    half: LoadRun
    """Open loop at half of the saturation."""
    inside_half: StageStatistics
    low: LoadRun
    """Open loop at a tenth of the saturation."""
    inside_low: StageStatistics
    cpu_ms: float
    """CPU time of the service per strip, over all rounds."""
    cpu_ms_by_stage: dict[str, float] | None
    """CPU time by stage, with the rest as "other"; None if the service does not report it."""
    runs: list[LoadRun]
    """All runs."""

    @property
    def cpu_ms_outside_session(self) -> float | None:
        """CPU time per strip outside inference."""
        if self.cpu_ms_by_stage is None:
            return None
        return self.cpu_ms - self.cpu_ms_by_stage["inference"]


def measure_service(context: BenchContext, ceiling: Ceiling, setting: Setting) -> ServiceLoad:
    """Measure the service in rounds with the pipeline's best setting, so that both see the same machine."""
    with running_service(context.model, context.logs, context.first_job()) as server:
        start, cpu_before = scrape(server), server.cpu_seconds()
        rounds, runs = [], []
        for _ in range(context.lengths.rounds):
            most = ceiling.throughput("pipeline", setting, context.lengths.ceiling_seconds)
            runs.append(context.saturate(server))
            rounds.append(Round(most, runs[-1].report.throughput))
        saturated, cpu_after = scrape(server), server.cpu_seconds()
        saturation = statistics.median(one.service for one in rounds)
        half = context.open_loop(server, saturation / 2)
        after_half = scrape(server)
        low = context.open_loop(server, saturation / 10, context.lengths.low_seconds)
        after_low = scrape(server)
    inside = subtract(start, saturated)
    answered = sum(run.report.all_answered for run in runs)
    cpu_ms = 1000 * (cpu_after - cpu_before) / max(answered, 1)
    return ServiceLoad(
        rounds=rounds,
        saturation=saturation,
        share_of_ceiling=statistics.median(one.service / one.ceiling for one in rounds),
        at_saturation=runs[-1],
        inside_at_saturation=inside,
        half=half,
        inside_half=subtract(saturated, after_half),
        low=low,
        inside_low=subtract(after_half, after_low),
        cpu_ms=cpu_ms,
        cpu_ms_by_stage=_with_other(inside.stage_cpu_ms, cpu_ms),
        runs=[*runs, half, low],
    )


def _with_other(stages: dict[str, float] | None, total: float) -> dict[str, float] | None:
    return None if stages is None else {**stages, "other": total - sum(stages.values())}
