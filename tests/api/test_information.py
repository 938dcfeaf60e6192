"""/model, /health, /metrics, /openapi.json, /docs."""

import asyncio
import base64
import io

import httpx
import numpy as np
import pycocotools.mask
import pytest
import shapely.geometry
from fastapi import FastAPI
from PIL import Image
from pydantic import SecretStr

from service.api.schemas import ClassResult, PredictResponse
from service.app import create_app
from service.errors import ModelFileError
from service.masks import rle
from service.model.session import OrtSession
from service.problem import Problem
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import running_app
from tests.support.tiny_model import block_strip

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
        "/v2/repository/index",
        *(f"{model}{what}" for model in V2_MODELS for what in ("", "/ready", "/config", "/infer")),
    }
    predict = document["paths"]["/predict"]["post"]
    assert {p["name"] for p in predict["parameters"]} == {
        "profile",
        "class_threshold",
        "threshold",
        "min_area",
        "mask_format",
        "bits",
        "pad",
        "instances",
        "maps",
        "strip",
        "mm_per_px",
        "X-Deadline-Ms",
        "X-Filename",
        "X-Request-Id",
    }
    assert all(p.get("description") or p["schema"].get("description") for p in predict["parameters"])
    assert set(predict["responses"]) == {"200", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert "image/jpeg" in predict["requestBody"]["content"]
    assert "multipart/form-data" in predict["requestBody"]["content"]
    for schema in ("PredictResponse", "ImageResult", "ClassResult", "TimingMs"):
        assert schema in document["components"]["schemas"]


async def test_a_key_is_described_where_one_is_configured(tiny_session: OrtSession) -> None:
    """And nowhere else: generated clients would ask for one."""
    for settings in (Settings(), Settings(api_key=SecretStr("sesame"))):
        document = create_app(settings, session=tiny_session).openapi()
        schemes = set(document["components"].get("securitySchemes", ()))
        assert schemes == (set() if settings.api_key is None else {"APIKeyHeader"})
        for path, operations in document["paths"].items():
            open_ = settings.api_key is None or path.endswith(("/live", "health/ready", "/metrics"))
            for operation in operations.values():
                assert ("security" in operation) is ("401" in operation["responses"]) is not open_, path


async def test_the_examples_of_parameters_are_accepted(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    tried = 0
    for parameter in document["paths"]["/predict"]["post"]["parameters"]:
        for example in parameter.get("examples", {}).values():
            if example["value"]:  # the page sends no empty field
                answer = await client.post(
                    "/predict", params={parameter["name"]: example["value"]}, content=png(block_strip())
                )
                assert answer.status_code == 200, (parameter["name"], example)
                tried += 1
    assert tried > 8


async def test_the_document_names_its_own_folder_as_the_server(tiny_session: OrtSession) -> None:
    """Clients resolve it: the routes may be behind a path that a proxy strips, or an ASGI server adds."""
    app = create_app(Settings(), session=tiny_session)
    for prefix in ("", "/steel"):
        transport = httpx.ASGITransport(app, root_path=prefix)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            document = (await client.get(f"{prefix}/openapi.json")).json()
        assert document["servers"] == [{"url": "."}]


async def test_an_application_below_a_prefix_knows_its_paths(tiny_session: OrtSession) -> None:
    app = create_app(Settings(api_key=SecretStr("sesame")), session=tiny_session)
    async with running_app(app):
        transport = httpx.ASGITransport(app, root_path="/steel")
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in ("health/ready", "metrics", "docs", "docs-static/swagger-ui.css", "", "page/app.js"):
                assert (await client.get(f"/steel/{path}")).status_code == 200, path
            assert (await client.get("/steel/model")).status_code == 401
            assert (await client.get("/steel/v2/models/x")).json()["error"] == "X-API-Key is missing or wrong"
            key = {"X-API-Key": "sesame"}
            answer = await client.post("/steel/predict", content=png(block_strip()), headers=key)
            assert answer.status_code == 200
            app.state.engine.draining = True
            assert (await client.post("/steel/predict", content=b"", headers=key)).status_code == 503
            assert 'route="/predict",status="503"' in (await client.get("/steel/metrics")).text
            app.state.engine.draining = False


async def test_openapi_describes_every_field_and_tag(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, about in schema.get("properties", {}).items()
        if "description" not in about
    ]
    assert bare == []
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for operation in operations for tag in operation["tags"]} == described
    assert all(operation["summary"] and operation["description"] for operation in operations)


async def test_operations_have_the_names_that_generated_clients_call(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert {"predict", "overlay", "model", "reload_model", "live", "ready", "v2_infer"} <= set(names)
    assert len(set(names)) == len(names)


async def test_every_error_on_the_page_has_examples_of_its_status(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    seen = set()
    for name, path in document["paths"].items():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status == "200":
                    continue
                examples = response["content"]["application/problem+json"]["examples"]
                problems = [Problem.model_validate(example["value"]) for example in examples.values()]
                assert {problem.status for problem in problems} == {int(status)}
                v2 = name.startswith("/v2")
                assert all(problem.error == (problem.detail if v2 else None) for problem in problems)
                seen |= {problem.title for problem in problems}
    assert {"Invalid image", "Invalid parameter", "Queue full", "Deadline exceeded", "Model refused"} <= seen


async def test_examples_of_answers_show_one_mask_in_every_format(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    content = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    answers = {
        name: PredictResponse.model_validate(example["value"])
        for name, example in content["examples"].items()
    }

    def third_class(name: str) -> ClassResult:
        image = answers[name].images[0]
        assert image.classes is not None
        return image.classes[2]

    code = third_class("defect").rle
    assert code
    mask = rle.decode(code, height=256, width=1600)
    area = int(mask.sum())
    assert {third_class(name).area for name in answers if name not in ("clean", "not inspected")} == {area}
    assert answers["clean"].images[0].defect is False
    assert answers["not inspected"].images[0].defect is None
    refused = answers["one of two refused"].images[1].problem
    assert refused is not None
    assert refused.status == 422
    instances = answers["instances"].images[0].instances
    assert instances is not None
    assert [(found.area, found.area_mm2) for found in instances] == [(area, area / 4)]
    for name in ("coco_rle", "coco_rle_uncompressed"):
        coco = third_class(name).coco_rle
        assert coco is not None
        written = coco.model_dump()
        if isinstance(written["counts"], list):
            written = pycocotools.mask.frPyObjects(written, 256, 1600)
        np.testing.assert_array_equal(pycocotools.mask.decode(written).T, mask)
    polygon = third_class("polygon").polygon
    assert polygon is not None
    assert shapely.geometry.shape(polygon.model_dump()).area == area
    picture = answers["png"].images[0].png
    assert picture is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).T == 4, mask)


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
