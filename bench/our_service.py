"""This project's service as a server of the benchmark, and what it says of itself at /metrics."""

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.jobs import Job
from bench.processes import ROOT, Server, free_port, running_server

STAGES = ("decode", "queue", "inference", "postprocess")


def running_service(
    model: Path, folder: Path, job: Job, name: str = "this service", **settings: object
) -> AbstractContextManager[Server]:
    """Start ``python -m service`` with its defaults, apart from ``settings``.

    Args:
        model: the ONNX file.
        folder: for its log.
        job: the strip that it has to answer before it counts as started.
        name: for reports.
        settings: names of the service's settings.
    """
    port = free_port()
    wanted = {"model": model.resolve(), "port": port, "device": "cpu", **settings}
    return running_server(
        name,
        [sys.executable, "-m", "service"],
        port=port,
        protocol="service",
        environment={f"STEEL_{key.upper()}": str(value) for key, value in wanted.items()},
        folder=ROOT,
        log=folder / f"{name.replace(' ', '-')}.log",
        job=job,
    )


@dataclass(frozen=True)
class Scraped:
    """Totals since the service started."""

    stage_seconds: dict[str, float]
    stage_strips: dict[str, float]
    cpu_seconds: dict[str, float] | None
    """Processor time by stage; None where the service does not count it."""
    batches: float
    batched_strips: float
    batches_up_to: dict[str, float]
    """Batches of at most so many strips, by Prometheus' bucket."""


@dataclass(frozen=True)
class Inside:
    """What happened in the service between two scrapes."""

    stage_ms: dict[str, float | None]
    """Mean time of a strip in each stage."""
    stage_cpu_ms: dict[str, float] | None
    """Processor time of a strip by stage; None where the service does not count it."""
    batch_size: float | None
    """Strips of an inference, in the mean."""
    batch_sizes: dict[str, int]
    """Inferences by number of strips: at most so many, more than the bucket before."""


def scrape(server: Server) -> Scraped:
    """Read the totals."""
    text = httpx.get(f"{server.url}/metrics").raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def by(name: str, label: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in samples if sample.name == name}

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    return Scraped(
        stage_seconds=by("steel_stage_seconds_sum", "stage"),
        stage_strips=by("steel_stage_seconds_count", "stage"),
        cpu_seconds=by("steel_stage_cpu_seconds_total", "stage") or None,
        batches=total("steel_batch_size_count"),
        batched_strips=total("steel_batch_size_sum"),
        batches_up_to=by("steel_batch_size_bucket", "le"),
    )


def between(before: Scraped, after: Scraped) -> Inside:
    """Subtract two scrapes."""

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
    return Inside(
        stage_ms={
            stage: 1000 * grown("stage_seconds", stage) / strips[stage] if strips[stage] else None
            for stage in STAGES
        },
        stage_cpu_ms=cpu,
        batch_size=(after.batched_strips - before.batched_strips) / batches if batches else None,
        batch_sizes=sizes,
    )
