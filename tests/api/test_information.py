"""/model, /health, /metrics, /openapi.json, /docs."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.errors import ModelFileError
from service.session import OrtSession
from service.settings import Settings
from tests.images import png
from tests.tiny_model import block_strip

pytestmark = pytest.mark.anyio

V2_MODELS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")

PNG = {"Content-Type": "image/png"}


async def test_model_says_what_the_file_says(client: httpx.AsyncClient) -> None:
    body = (await client.get("/model")).json()
    assert body["name"] == "tiny"
    assert body["provider"] == "CPUExecutionProvider"
    assert [kind["name"] for kind in body["classes"]] == ["kind 1", "kind 2", "kind 3", "kind 4"]
    assert [profile["name"] for profile in body["profiles"]] == ["inspection", "kaggle"]
    assert body["split"] == {"strategy": "none", "seed": 0, "train": 0, "validation": 0, "test": 0}
    assert (body["width"], body["height"]) == (1600, 256)


async def test_a_batcher_that_died_turns_readiness_and_liveness_off(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "batcher"]
    task.cancel()
    await asyncio.wait([task])
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["detail"] == "the batcher has stopped"
    assert (await client.get("/health/live")).json()["detail"] == "the batcher has stopped"
    assert "steel_ready 0.0" in (await client.get("/metrics")).text


async def test_metrics_count(client: httpx.AsyncClient) -> None:
    await client.post("/predict", content=png(block_strip(c3=(1, 1, 9, 9))), headers=PNG)
    await client.post("/predict", content=png(block_strip()), headers=PNG)
    await client.post("/predict", content=b"", headers=PNG)
    await client.get("/a/path/that/is/not")
    files = [("file", (name, data, "image/png")) for name, data in (("a", png(block_strip())), ("b", b"x"))]
    await client.post("/predict", files=files)
    text = (await client.get("/metrics")).text
    for line in (
        'steel_requests_total{route="/predict",status="200"} 3.0',
        'steel_requests_total{route="/predict",status="422"} 1.0',
        'steel_requests_total{route="unknown",status="404"} 1.0',
        'steel_strips_total{defect="true"} 1.0',
        'steel_strips_total{defect="false"} 2.0',
        'steel_defects_total{class_id="3"} 1.0',
        'steel_stage_seconds_count{stage="inference"} 3.0',
        'steel_refusals_total{reason="Unsupported media type"} 1.0',
        'steel_refusals_total{reason="Invalid image"} 1.0',
        "steel_ready 1.0",
        "steel_queue_size 0.0",
        'provider="CPUExecutionProvider"',
    ):
        assert line in text
    assert "/a/path" not in text


async def test_a_model_that_cannot_be_loaded_is_fatal(tmp_path_factory: pytest.TempPathFactory) -> None:
    failures: list[Exception] = []
    settings = Settings(model=tmp_path_factory.mktemp("empty"), device="cpu")
    app = create_app(settings, on_fatal=failures.append)
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(10):
            while not failures:
                await asyncio.sleep(0.01)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/health/ready")).status_code == 503
    assert isinstance(failures[0], ModelFileError)


async def test_openapi_documents_every_parameter_error_and_body(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/predict",
        "/overlay",
        "/model",
        "/model/reload",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        *(f"{model}{what}" for model in V2_MODELS for what in ("", "/ready", "/infer")),
    }
    predict = document["paths"]["/predict"]["post"]
    assert {p["name"] for p in predict["parameters"]} == {
        "profile",
        "threshold",
        "min_area",
        "mask_format",
        "instances",
        "maps",
        "mm_per_px",
        "X-Deadline-Ms",
        "X-Filename",
        "X-Request-Id",
    }
    assert all(p.get("description") or p["schema"].get("description") for p in predict["parameters"])
    assert set(predict["responses"]) == {"200", "401", "408", "413", "415", "422", "429", "500", "503", "504"}
    for status, response in predict["responses"].items():
        if status != "200":
            example = response["content"]["application/problem+json"]["example"]
            assert example["status"] == int(status)
    assert "image/jpeg" in predict["requestBody"]["content"]
    assert "multipart/form-data" in predict["requestBody"]["content"]
    for schema in ("PredictResponse", "ImageResult", "ClassResult", "TimingMs"):
        assert schema in document["components"]["schemas"]


async def test_the_docs_page_needs_no_other_server(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    script = page.split('<script src="')[1].split('"')[0]
    assert len((await client.get(script)).content) > 100_000


async def test_no_session_is_shared_between_applications(tiny_session: OrtSession) -> None:
    one, other = (create_app(Settings(), session=tiny_session) for _ in range(2))
    assert one.state.metrics is not other.state.metrics
    assert one.state.engine is not other.state.engine
