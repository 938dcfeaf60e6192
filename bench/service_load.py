"""The service at saturation, beside what the machine could do; at half of it; and nearly idle."""

import statistics
from dataclasses import dataclass

from bench.bench import Bench
from bench.ceilings import Ceiling, Setting
from bench.drive import Measured
from bench.our_service import Inside, between, running_service, scrape


@dataclass(frozen=True)
class Round:
    """The ceiling and the service right after it, strips a second."""

    ceiling: float
    service: float


@dataclass(frozen=True)
class ServiceLoad:
    """How the service does under three loads."""

    rounds: list[Round]
    saturation: float
    """Right answers a second in a closed loop, median over rounds."""
    share_of_ceiling: float
    """Service over pipeline ceiling, median over rounds of the ratio."""
    at_saturation: Measured
    """The last round."""
    inside_at_saturation: Inside
    """All rounds."""
    half: Measured
    """Open loop at half of the saturation."""
    inside_half: Inside
    low: Measured
    """Open loop at a tenth of the saturation."""
    inside_low: Inside
    cpu_ms: float
    """Processor time of the service for a strip, over all rounds."""
    cpu_ms_by_stage: dict[str, float] | None
    """The same by stage, "other" being the rest; None where the service does not count it."""
    runs: list[Measured]
    """Every run, for wrong answers."""

    @property
    def cpu_ms_outside_session(self) -> float | None:
        """Processor time for a strip that is not inference."""
        if self.cpu_ms_by_stage is None:
            return None
        return self.cpu_ms - self.cpu_ms_by_stage["inference"]


def measure_service(bench: Bench, ceiling: Ceiling, setting: Setting) -> ServiceLoad:
    """Measure the service, in rounds with the pipeline's best setting so that both see the same machine."""
    with running_service(bench.model, bench.logs, bench.first_job()) as server:
        start, cpu_before = scrape(server), server.cpu_seconds()
        rounds, runs = [], []
        for _ in range(bench.lengths.rounds):
            most = ceiling.throughput("pipeline", setting, bench.lengths.ceiling_seconds)
            runs.append(bench.saturate(server))
            rounds.append(Round(most, runs[-1].report.throughput))
        saturated, cpu_after = scrape(server), server.cpu_seconds()
        saturation = statistics.median(one.service for one in rounds)
        half = bench.open_loop(server, saturation / 2)
        after_half = scrape(server)
        low = bench.open_loop(server, saturation / 10, bench.lengths.low_seconds)
        after_low = scrape(server)
    inside = between(start, saturated)
    answered = sum(run.report.all_answered for run in runs)
    cpu_ms = 1000 * (cpu_after - cpu_before) / max(answered, 1)
    return ServiceLoad(
        rounds=rounds,
        saturation=saturation,
        share_of_ceiling=statistics.median(one.service / one.ceiling for one in rounds),
        at_saturation=runs[-1],
        inside_at_saturation=inside,
        half=half,
        inside_half=between(saturated, after_half),
        low=low,
        inside_low=between(after_half, after_low),
        cpu_ms=cpu_ms,
        cpu_ms_by_stage=_with_other(inside.stage_cpu_ms, cpu_ms),
        runs=[*runs, half, low],
    )


def _with_other(stages: dict[str, float] | None, total: float) -> dict[str, float] | None:
    return None if stages is None else {**stages, "other": total - sum(stages.values())}
