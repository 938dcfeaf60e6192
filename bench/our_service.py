"""This project's service in the benchmark, and its metrics."""

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.jobs import Job
from bench.processes import Server, running_server
from tests.support.serving import ROOT, free_port, service_environment

STAGES = ("decode", "queue", "inference", "postprocess")


def running_service(
    model: Path, folder: Path, job: Job, name: str = "this service", **settings: object
) -> AbstractContextManager[Server]:
    """Run ``python -m service`` with its defaults, except ``settings``.

    Args:
        model: the ONNX file.
        folder: folder of its log.
        job: the first strip; the service has started when it answers it correctly.
        name: name in reports.
        settings: names of the service's settings.
    """
    port = free_port()
    return running_server(
        name,
        [sys.executable, "-m", "service"],
        port=port,
        protocol="service",
        environment=service_environment(model.resolve(), **({"port": port} | settings)),
        folder=ROOT,
        log=folder / f"{name.replace(' ', '-')}.log",
        job=job,
    )


@dataclass(frozen=True)
class MetricsSnapshot:
    """Totals of /metrics since the service started."""

    stage_seconds: dict[str, float]
    stage_strips: dict[str, float]
    cpu_seconds: dict[str, float] | None
    """CPU time by stage; None if the service does not report it."""
    batches: float
    batched_strips: float
    batches_up_to: dict[str, float]
    """Cumulative number of batches by Prometheus' bucket of their size."""


@dataclass(frozen=True)
class StageStatistics:
    """Statistics of the service between two scrapes."""

    stage_ms: dict[str, float | None]
    """Mean time per strip in each stage."""
    stage_cpu_ms: dict[str, float] | None
    """CPU time per strip by stage; None if the service does not report it."""
    batch_size: float | None
    """Mean number of strips per inference."""
    batch_sizes: dict[str, int]
    """Number of inferences by bucket of their strips."""


def scrape(server: Server) -> MetricsSnapshot:
    """Read the totals of /metrics."""
    text = httpx.get(f"{server.url}/metrics").raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def by(name: str, label: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in samples if sample.name == name}

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    return MetricsSnapshot(
        stage_seconds=by("steel_stage_seconds_sum", "stage"),
        stage_strips=by("steel_stage_seconds_count", "stage"),
        cpu_seconds=by("steel_stage_cpu_seconds_total", "stage") or None,
        batches=total("steel_batch_size_count"),
        batched_strips=total("steel_batch_size_sum"),
        batches_up_to=by("steel_batch_size_bucket", "le"),
    )


def subtract(before: MetricsSnapshot, after: MetricsSnapshot) -> StageStatistics:
    """Return the statistics between two scrapes."""

    def grown(name: str, stage: str) -> float:
        old: dict[str, float] = getattr(before, name)
        new: dict[str, float] = getattr(after, name)
        return new.get(stage, 0.0) - old.get(stage, 0.0)

    strips = {stage: grown("stage_strips", stage) for stage in STAGES}
    answered = max(strips.values())
    cpu: dict[str, float] | None = None
    if after.cpu_seconds is not None and answered:
        old = before.cpu_seconds or {}
        cpu = {
            stage: 1000 * (value - old.get(stage, 0.0)) / answered
            for stage, value in after.cpu_seconds.items()
        }
    batches = after.batches - before.batches
    sizes: dict[str, int] = {}
    smaller = 0.0
    for bucket in sorted(after.batches_up_to, key=float):
        up_to = grown("batches_up_to", bucket)
        if up_to > smaller:
            sizes[f"{float(bucket):g}"] = int(up_to - smaller)
        smaller = up_to
    return StageStatistics(
        stage_ms={
            stage: 1000 * grown("stage_seconds", stage) / strips[stage] if strips[stage] else None
            for stage in STAGES
        },
        stage_cpu_ms=cpu,
        batch_size=(after.batched_strips - before.batched_strips) / batches if batches else None,
        batch_sizes=sizes,
    )
