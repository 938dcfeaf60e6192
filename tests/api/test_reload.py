"""POST /model/reload and SIGHUP: another model without a lost request, or the old one and the reason."""

import asyncio
import gc
import os
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import structlog

from service.app import create_app
from service.model.repository import checksum_file, write_checksum
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import real_server, running_app
from tests.support.tiny_model import (
    VALUES,
    block_rle,
    block_strip,
    tiny_graph,
    tiny_metadata,
    write_model,
    write_slow_model,
    write_tiny_model,
)
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(3, 4, 5, 6)))
PNG = {"Content-Type": "image/png"}
REVERSED = VALUES[::-1]
RLE = block_rle(3, 4, 5, 6)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder of a model with version 1."""
    write_tiny_model(tmp_path / "tiny" / "1" / "model.onnx")
    return tmp_path / "tiny"


def second(models: Path) -> Path:
    """Add version 2, which takes class 1 for class 4."""
    return write_tiny_model(models / "2" / "model.onnx", version="2", values=REVERSED)


@pytest.fixture
async def client(models: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(model=models, device="cpu", api_key="key")
    async with running_app(create_app(settings)) as client:
        client.headers["X-API-Key"] = "key"
        yield client


async def predicted(client: httpx.AsyncClient) -> tuple[str, str, str]:
    """Ask; the version that answered, and its codes of classes 1 and 4."""
    body = (await client.post("/predict", content=STRIP, headers=PNG)).json()
    classes = body["images"][0]["classes"]
    return body["model"]["version"], classes[0]["rle"], classes[3]["rle"]


async def reloads(client: httpx.AsyncClient, outcome: str) -> bool:
    """Check that exactly one reload had this outcome."""
    text = (await client.get("/metrics")).text
    return f'steel_model_reloads_total{{outcome="{outcome}"}} 1.0' in text


async def test_a_higher_version_takes_over(client: httpx.AsyncClient, models: Path) -> None:
    assert await predicted(client) == ("1", RLE, "")
    second(models)
    body = (await client.post("/model/reload")).json()
    assert body["changed"] is True
    assert body["model"] == {
        key: value for key, value in (await client.get("/model")).json().items() if key in body["model"]
    }
    assert body["model"]["version"] == "2"
    assert await predicted(client) == ("2", "", RLE)
    assert await reloads(client, "switched")
    text = (await client.get("/metrics")).text
    assert [line for line in text.splitlines() if line.startswith("steel_model_info{")] == [
        line for line in text.splitlines() if line.startswith("steel_model_info{") and 'version="2"' in line
    ]


async def test_a_changed_file_takes_over(client: httpx.AsyncClient, models: Path) -> None:
    write_tiny_model(models / "1" / "model.onnx", version="1b", values=REVERSED)
    assert (await client.post("/model/reload")).json()["changed"] is True
    assert await predicted(client) == ("1b", "", RLE)


async def test_the_same_file_changes_nothing(client: httpx.AsyncClient) -> None:
    body = (await client.post("/model/reload")).json()
    assert (body["changed"], body["model"]["version"]) == (False, "1")
    assert await reloads(client, "unchanged")


def truncate(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:500])


def truncate_with_checksum(model: Path) -> None:
    truncate(model)
    write_checksum(model)


def lie(model: Path) -> None:
    """Answer with the classes of version 1, but promise those of version 2."""
    write_model(model, tiny_graph(), tiny_metadata("2", REVERSED).model_dump_json())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (truncate, "as in model.onnx.sha256, got"),
        (truncate_with_checksum, "cannot be loaded by onnxruntime"),
        (lambda model: checksum_file(model).unlink(), "has no checksum beside it"),
        (lambda model: write_model(model, tiny_graph(), None), "carries no 'steel_defect_model' metadata"),
        (lie, "the golden strip is answered wrongly"),
    ],
)
async def test_a_bad_model_is_refused_and_the_old_one_goes_on(
    client: httpx.AsyncClient, models: Path, harm: Callable[[Path], object], reason: str
) -> None:
    harm(second(models))
    response = await client.post("/model/reload")
    assert response.status_code == 422
    assert response.json()["title"] == "Model refused"
    assert reason in response.json()["detail"]
    assert await predicted(client) == ("1", RLE, "")
    assert (await client.get("/health/ready")).status_code == 200
    assert await reloads(client, "refused")
    second(models)
    assert (await client.post("/model/reload")).json()["changed"] is True


async def test_what_nobody_foresaw_is_a_500_and_the_old_one_goes_on(
    client: httpx.AsyncClient, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second(models)
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr("service.model.session.OrtSession.warm_up", lambda _self: 1 / 0)
        response = await client.post("/model/reload")
    assert response.status_code == 500
    assert "ZeroDivision" not in response.text
    assert [line["outcome"] for line in logs if line["event"] == "reload"] == ["failed"]
    assert await predicted(client) == ("1", RLE, "")
    assert await reloads(client, "failed")


async def test_a_reload_that_hangs_gives_up_and_the_next_one_works(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(model=models, device="cpu", api_key="sesame", reload_timeout_s=0.5)
    async with running_app(create_app(settings)) as client:
        client.headers["X-API-Key"] = "sesame"
        second(models)
        let_go = threading.Event()
        with monkeypatch.context() as patch:
            patch.setattr("service.model.session.OrtSession.warm_up", lambda _self: let_go.wait(20))
            response = await client.post("/model/reload")
        let_go.set()
        assert response.status_code == 422
        assert "was not ready within 0.5 s" in response.json()["detail"]
        assert (await client.post("/model/reload")).json()["changed"] is True


async def test_a_reload_with_a_broken_file_of_keys_is_refused(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sesame\n")
    settings = Settings(model=models, device="cpu", api_keys_file=file)
    async with running_app(create_app(settings)) as client:
        client.headers["X-API-Key"] = "sesame"
        second(models)
        file.write_text("two keys\n")
        response = await client.post("/model/reload")
        assert (response.status_code, response.json()["title"]) == (422, "API keys refused")
        assert (await client.get("/model")).json()["version"] == "1"
        file.write_text("sesame\n")
        assert (await client.post("/model/reload")).json()["changed"] is True


async def test_of_two_reloads_at_once_the_second_is_refused(client: httpx.AsyncClient, models: Path) -> None:
    second(models)
    answers = await asyncio.gather(client.post("/model/reload"), client.post("/model/reload"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert await predicted(client) == ("2", "", RLE)
    assert await reloads(client, "busy")


async def test_nobody_may_reload_without_a_key(client: httpx.AsyncClient, models: Path) -> None:
    second(models)
    response = await client.post("/model/reload", headers={"X-API-Key": "wrong"})
    assert response.status_code == 401
    async with running_app(create_app(Settings(model=models / "1", device="cpu"))) as keyless:
        response = await keyless.post("/model/reload")
        assert response.status_code == 403
        assert "only where an API key is configured" in response.json()["detail"]
    assert (await predicted(client))[0] == "1"


@pytest.mark.slow
async def test_requests_are_finished_by_the_model_that_accepted_them(tmp_path: Path) -> None:
    models = tmp_path / "tiny"
    write_slow_model(models / "1" / "model.onnx", matmuls=20)
    settings = Settings(model=models, device="cpu", api_key="key", threads=1)
    async with running_app(create_app(settings)) as client:
        client.headers["X-API-Key"] = "key"
        old = [asyncio.create_task(predicted(client)) for _ in range(8)]
        async with asyncio.timeout(20):
            while "steel_queue_size 0.0" in (await client.get("/metrics")).text:
                await asyncio.sleep(0.005)
        second(models)
        assert (await client.post("/model/reload")).json()["changed"] is True
        assert not all(task.done() for task in old)
        assert await predicted(client) == ("2", "", RLE)
        assert await asyncio.gather(*old) == [("1", RLE, "")] * 8


async def test_models_that_were_replaced_are_let_go(models: Path) -> None:
    app = create_app(Settings(model=models, device="cpu", api_key="key"))
    async with running_app(app) as client:
        client.headers["X-API-Key"] = "key"
        first = weakref.ref(app.state.engine.session)
        for number in range(2, 8):
            values = VALUES if number % 2 else REVERSED
            write_tiny_model(models / str(number) / "model.onnx", version=str(number), values=values)
            assert (await client.post("/model/reload")).json()["model"]["version"] == str(number)
            assert (await predicted(client))[0] == str(number)
        async with asyncio.timeout(10):
            while sum(task.get_name() == "batcher" for task in asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)
        gc.collect()
        assert first() is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_sighup_reloads_too_and_a_bad_model_changes_nothing(models: Path) -> None:
    def version(url: str) -> str:
        return str(httpx.get(f"{url}/model").json()["version"])

    with real_server(models) as server:
        assert version(server.url) == "1"
        lie(second(models))
        os.kill(server.process.pid, signal.SIGHUP)
        metric = 'steel_model_reloads_total{outcome="refused"} 1.0'
        until(lambda: metric in httpx.get(f"{server.url}/metrics").text)
        assert version(server.url) == "1"
        second(models)
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: version(server.url) == "2")
        code, lines = server.stop()
    assert code == 0
    outcomes = [line["outcome"] for line in lines if line["event"] == "reload"]
    assert outcomes == ["refused", "switched"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_sighup_reads_the_keys_again(models: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("old\n")
    with real_server(models, api_keys_file=keys) as server:

        def status(key: str) -> int:
            return httpx.get(f"{server.url}/model", headers={"X-API-Key": key}).status_code

        assert (status("old"), status("new")) == (200, 401)
        keys.write_text("new\n")
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: status("new") == 200)
        assert status("old") == 401
