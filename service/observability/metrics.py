"""The metrics that Prometheus reads at /metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_STAGES = ("decode", "queue", "inference", "postprocess")


@dataclass(frozen=True, slots=True)
class StageMeter:
    """The metrics of one stage, looked up once instead of per strip."""

    seconds: Histogram
    cpu_seconds: Counter


class Metrics:
    """The metrics of one application, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._last_sha256: str | None = None
        # The route is the template, never the path itself: callers must not create series.
        self.requests = Counter(
            "steel_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self.request_seconds = Histogram(
            "steel_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        seconds = Histogram(
            "steel_stage_seconds",
            "Time of one strip in a stage: decode, queue, inference, postprocess.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        cpu_seconds = Counter(
            "steel_stage_cpu_seconds",
            "Processor time of strips in a stage; further threads of one inference do not count.",
            ["stage"],
            registry=self._registry,
        )
        self.stages = {
            stage: StageMeter(seconds.labels(stage), cpu_seconds.labels(stage)) for stage in _STAGES
        }
        self.batch_size = Histogram(
            "steel_batch_size",
            "Tiles in one inference; a strip is one.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self._registry,
        )
        self.refusals = Counter(
            "steel_refusals",
            "Strips and requests refused, by reason.",
            ["reason"],
            registry=self._registry,
        )
        self.disconnects = Counter(
            "steel_disconnects", "Callers that disconnected before their answer.", registry=self._registry
        )
        self.strips = Counter(
            "steel_strips",
            "Strips answered, by whether a defect was found.",
            ["defect"],
            registry=self._registry,
        )
        self.tiles = Counter(
            "steel_tiles",
            "Tiles of the strips and frames answered; a strip is one.",
            registry=self._registry,
        )
        self.verdicts = Counter(
            "steel_verdicts",
            "Verdicts on strips: ok, defect, suspect, not_inspected; refused files are in steel_refusals.",
            ["verdict"],
            registry=self._registry,
        )
        self.faults = Counter(
            "steel_health_faults",
            "Strips not inspected since they do not look like steel, by fault.",
            ["fault"],
            registry=self._registry,
        )
        self.repeated = Counter(
            "steel_repeated_strips",
            "Strips whose file equals the one before, byte for byte: a frozen camera sends nothing else.",
            registry=self._registry,
        )
        self.defects = Counter(
            "steel_defects",
            "Strips on which the class was found.",
            ["class_id"],
            registry=self._registry,
        )
        self.model = Gauge(
            "steel_model_info",
            "1 for the model that serves; fallback=true if it runs on the CPU for lack of a GPU.",
            ["name", "version", "sha256", "provider", "precision", "fallback"],
            registry=self._registry,
        )
        self.received = Counter(
            "steel_requests_received",
            "Requests that arrived: those answered, counted by steel_requests_total, and those in progress.",
            registry=self._registry,
        )
        self.in_progress = Gauge(
            "steel_requests_in_progress", "Requests not answered yet.", registry=self._registry
        )
        self.reloads = Counter(
            "steel_model_reloads",
            "Reloads by outcome: switched, unchanged, refused (the new model), busy, failed.",
            ["outcome"],
            registry=self._registry,
        )
        self._ready = Gauge("steel_ready", "1 when ready.", registry=self._registry)
        self._queue_size = Gauge(
            "steel_queue_size", "Tiles in the queue; a strip is one.", registry=self._registry
        )

    def count_repeated(self, sha256: str) -> None:
        """Count a strip whose file has the hash of the one before."""
        if sha256 == self._last_sha256:
            self.repeated.inc()
        self._last_sha256 = sha256

    def watch(self, *, ready: Callable[[], bool], queue_size: Callable[[], int]) -> None:
        """Set the functions that give these gauges their values."""
        self._ready.set_function(lambda: float(ready()))
        self._queue_size.set_function(lambda: float(queue_size()))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
