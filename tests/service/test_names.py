"""Names that deployments, dashboards, alerts and log queries rely on: a renamed one breaks them."""

from collections.abc import Iterator

import httpx
import pytest
import structlog

from service.observability.metrics import Metrics
from service.settings import Settings
from tests.support.images import png
from tests.support.tiny_model import block_strip

SETTINGS = {
    "host",
    "port",
    "profile",
    "model",
    "device",
    "threads",
    "max_batch_size",
    "cuda_graphs",
    "engine_cache",
    "batch_timeout_ms",
    "max_queue_size",
    "body_timeout_s",
    "head_timeout_s",
    "write_timeout_s",
    "keep_alive_s",
    "max_connections",
    "max_head_bytes",
    "request_timeout_s",
    "max_body_bytes",
    "max_file_bytes",
    "max_buffered_bytes",
    "max_files",
    "bits",
    "health",
    "max_pixels",
    "api_key",
    "api_keys_file",
    "metrics",
    "docs",
    "page",
    "cors_origins",
    "tls_certificate",
    "tls_key",
    "inference_timeout_s",
    "log_level",
    "shutdown_timeout_s",
    "reload_timeout_s",
}
METRICS = {
    "steel_requests": ("route", "status"),
    "steel_request_seconds": ("route",),
    "steel_stage_seconds": ("stage",),
    "steel_stage_cpu_seconds": ("stage",),
    "steel_batch_size": (),
    "steel_refusals": ("reason",),
    "steel_disconnects": (),
    "steel_strips": ("defect",),
    "steel_tiles": (),
    "steel_verdicts": ("verdict",),
    "steel_health_faults": ("fault",),
    "steel_repeated_strips": (),
    "steel_defects": ("class_id",),
    "steel_model_info": ("name", "version", "sha256", "provider", "precision", "fallback"),
    "steel_requests_received": (),
    "steel_requests_in_progress": (),
    "steel_model_reloads": ("outcome",),
    "steel_ready": (),
    "steel_queue_size": (),
}
LOG_FIELDS = {"event", "log_level", "request_id", "method", "path", "status", "seconds", "client"}
PREDICTION_FIELDS = {"files", "refused", "verdicts", "classes", "timing_ms"}
TIMING_FIELDS = {"decode", "queue", "inference", "postprocess", "total"}


def test_names_of_settings() -> None:
    assert Settings.model_config["env_prefix"] == "STEEL_"
    assert set(Settings.model_fields) == SETTINGS


def test_names_and_labels_of_metrics() -> None:
    collectors = Metrics()._registry._collector_to_names
    assert {one._name: one._labelnames for one in collectors} == METRICS  # type: ignore[attr-defined]  # private
    assert list(Metrics().stages) == ["decode", "queue", "inference", "postprocess"]


@pytest.fixture
def all_levels() -> Iterator[None]:
    """Log all levels, whatever an earlier test has configured."""
    configured = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**configured)


@pytest.mark.anyio
@pytest.mark.usefixtures("all_levels")
async def test_fields_of_a_requests_log_line(client: httpx.AsyncClient) -> None:
    strip, kind = png(block_strip(c1=(0, 0, 5, 5))), {"Content-Type": "image/png"}
    with structlog.testing.capture_logs() as lines:
        await client.post("/predict", content=strip, headers=kind)
        await client.post("/predict", content=b"%PDF", headers=kind)
        await client.get("/model")
    answered, refused, other = (line for line in lines if line["event"] == "request")
    assert answered.keys() == LOG_FIELDS | PREDICTION_FIELDS
    assert answered["timing_ms"].keys() == TIMING_FIELDS
    assert refused.keys() == LOG_FIELDS | {"error"}
    assert other.keys() == LOG_FIELDS
