"""A strip that does not look like steel is not inspected, and no answer calls it clean."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from service.app import create_app
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.health import NO_STEEL, STEEL, write_watchful_model
from tests.support.images import png
from tests.support.serving import running_app

pytestmark = pytest.mark.anyio

PNG = {"Content-Type": "image/png"}
REASON = "no steel in the picture: share of black columns 1, expected at most 0.9"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    path = write_watchful_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx")
    return OrtSession(path, device="cpu", threads=1, max_batch_size=4)


@pytest.fixture
def app(session: OrtSession) -> FastAPI:
    return create_app(Settings(max_batch_size=4), session=session)


async def test_predict_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=png(NO_STEEL), headers=PNG)
    assert response.status_code == 200
    (image,) = response.json()["images"]
    assert (image["verdict"], image["reason"]) == ("not_inspected", REASON)
    assert image["defect"] is None
    assert image["health"]["fault"] == "black"
    assert image["health"]["brightness"] == 0
    assert image.keys() == {"status", "verdict", "reason", "width", "height", "sha256", "defect", "health"}


async def test_strips_beside_it_are_answered(client: httpx.AsyncClient) -> None:
    files = [("file", (name, png(strip), "image/png")) for name, strip in (("a", NO_STEEL), ("b", STEEL))] + [
        ("file", ("c", b"%PDF", "image/png"))
    ]
    images = (await client.post("/predict", files=files)).json()["images"]
    assert [image["verdict"] for image in images] == ["not_inspected", "defect", "not_inspected"]
    assert [image["defect"] for image in images] == [None, True, None]
    assert "fault" not in images[1]["health"]
    assert images[2]["reason"].startswith("Unsupported media type: expected an image of type JPEG")


async def test_the_picture_says_so(client: httpx.AsyncClient) -> None:
    seen, blind = [
        np.asarray(Image.open(io.BytesIO((await client.post("/overlay", content=png(one))).content)))
        for one in (STEEL, NO_STEEL)
    ]
    assert seen.shape == blind.shape
    assert (blind[256:284] == 255).all()  # no captions of classes
    assert (blind[284:] < 128).any()  # the verdict


async def test_tensors_cannot_say_it_so_the_request_fails(client: httpx.AsyncClient) -> None:
    data = [base64.b64encode(png(strip)).decode() for strip in (STEEL, NO_STEEL)]
    body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": data}]}
    response = await client.post("/v2/models/tiny/infer", json=body)
    assert response.status_code == 422
    assert response.json()["error"] == f"image[1]: {REASON}"
    assert response.json()["type"] == "urn:steel:problem:not-inspected"
    body["inputs"][0] |= {"shape": [1], "data": data[:1]}
    outputs = {
        one["name"]: one for one in (await client.post("/v2/models/tiny/infer", json=body)).json()["outputs"]
    }
    assert outputs["verdict"]["data"] == ["defect"]
    assert outputs["reason"]["data"] == ["kind 3 100%, 76,800 px"]


async def test_metrics_count_verdicts_faults_and_repetitions(client: httpx.AsyncClient) -> None:
    for strip in (STEEL, NO_STEEL, NO_STEEL, NO_STEEL):
        await client.post("/predict", content=png(strip), headers=PNG)
    lines = (await client.get("/metrics")).text.splitlines()
    assert 'steel_verdicts_total{verdict="defect"} 1.0' in lines
    assert 'steel_verdicts_total{verdict="not_inspected"} 3.0' in lines
    assert 'steel_health_faults_total{fault="black"} 3.0' in lines
    assert "steel_repeated_strips_total 2.0" in lines
    assert 'steel_strips_total{defect="true"} 1.0' in lines
    assert not any(line.startswith('steel_strips_total{defect="false"}') for line in lines)


@pytest.fixture
async def careless(session: OrtSession) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(create_app(Settings(health="off"), session=session)) as client:
        yield client


async def test_health_off_inspects_every_strip(careless: httpx.AsyncClient) -> None:
    (image,) = (await careless.post("/predict", content=png(NO_STEEL), headers=PNG)).json()["images"]
    assert (image["verdict"], image["defect"]) == ("ok", False)
    assert "health" not in image


@pytest.mark.parametrize("batches", [True, False])
async def test_it_never_reaches_the_model(session: OrtSession, batches: bool, tmp_path: Path) -> None:
    class Counting:
        """The session, which counts strips."""

        seen = 0

        def __getattr__(self, name: str) -> object:
            return batches if name == "batches" else getattr(session, name)

        def infer(self, strips: list[np.ndarray]) -> object:
            self.seen += len(strips)
            return session.infer(strips)

    counting = Counting()
    async with running_app(create_app(Settings(max_batch_size=4), session=counting)) as client:  # type: ignore[arg-type]
        for strip in (NO_STEEL, STEEL, NO_STEEL):
            assert (await client.post("/predict", content=png(strip), headers=PNG)).status_code == 200
    assert counting.seen == 1
