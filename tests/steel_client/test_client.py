"""Calls, retries and deadlines, against the application and against servers that refuse."""

from collections.abc import Callable

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from service.app import create_app
from service.model.session import OrtSession
from service.settings import Settings
from steel_client import AsyncSteelClient, SteelClient, SteelError
from tests.support.images import png
from tests.support.serving import running_app
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c3=(100, 20, 5, 30)))


async def test_an_answer_is_typed_and_its_mask_is_an_image(app: FastAPI) -> None:
    async with running_app(app), AsyncSteelClient("http://x", transport=httpx.ASGITransport(app)) as client:
        image = await client.predict(STRIP, "größe.png")
    assert image.defect
    assert image.probability == 1.0
    assert image.result.filename == "größe.png"
    assert image.response.model.name == "tiny"
    (found,) = image.present
    assert (found.result.class_id, found.result.area) == (3, 150)
    expected = np.zeros((256, 1600), dtype=bool)
    expected[20:50, 100:105] = True
    np.testing.assert_array_equal(found.mask, expected)
    assert not image.classes[0].mask.any()
    assert image.instances == []


async def test_queries_and_keys_are_sent(tiny_session: OrtSession) -> None:
    app = create_app(Settings(api_key=SecretStr("sesame")), session=tiny_session)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        query = {"profile": "kaggle", "instances": "true"}
        async with AsyncSteelClient("http://x", api_key="sesame", query=query, transport=transport) as client:
            await client.check()
            image = await client.predict(STRIP)
            assert image.response.profile.name == "kaggle"
            assert [one.area for one in image.instances] == [150]
        async with AsyncSteelClient("http://x", api_key="wrong", transport=transport) as client:
            for call in (client.check(), client.predict(STRIP)):
                with pytest.raises(SteelError, match="X-API-Key is missing or wrong") as caught:
                    await call
                assert caught.value.status == 401
                assert caught.value.request_id


def busy_then(answers: list[httpx.Response | Exception]) -> Callable[[httpx.Request], httpx.Response]:
    """Return one answer after the other."""
    waiting = iter(answers)

    def handle(_request: httpx.Request) -> httpx.Response:
        answer = next(waiting)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle


def refusal(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"title": "Queue full", "detail": "64 wait"}, headers=headers)


def test_transient_refusals_are_retried_after_the_pause_they_ask_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("steel_client.client.time.sleep", pauses.append)
    answers: list[httpx.Response | Exception] = [
        refusal(429, **{"Retry-After": "3"}),
        httpx.ConnectError("no"),
        refusal(503),
        refusal(415),
    ]
    with (
        SteelClient("http://x", transport=httpx.MockTransport(busy_then(answers))) as client,
        pytest.raises(SteelError, match="Queue full: 64 wait") as caught,
    ):
        client.predict(STRIP)
    assert caught.value.status == 415
    assert pauses[0] == 3
    assert 0 < pauses[1] < 1
    assert len(pauses) == 3


@pytest.mark.parametrize("status", [400, 401, 413, 422, 500, 504])
def test_other_refusals_are_not_retried(status: int) -> None:
    answers: list[httpx.Response | Exception] = [refusal(status)]
    with (
        SteelClient("http://x", transport=httpx.MockTransport(busy_then(answers))) as client,
        pytest.raises(SteelError) as caught,
    ):
        client.predict(STRIP)
    assert caught.value.status == status


def test_no_pause_passes_the_deadline() -> None:
    answers: list[httpx.Response | Exception] = [refusal(429, **{"Retry-After": "60"})]
    with (
        SteelClient("http://x", timeout=2, transport=httpx.MockTransport(busy_then(answers))) as client,
        pytest.raises(SteelError) as caught,
    ):
        client.predict(STRIP)
    assert (caught.value.status, caught.value.retry_after) == (429, 60)


def test_a_request_carries_the_rest_of_the_deadline() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return refusal(422)

    with (
        SteelClient("http://x/", timeout=7, transport=httpx.MockTransport(handle)) as client,
        pytest.raises(SteelError),
    ):
        client.predict(STRIP)
    assert 6000 < int(seen[0].headers["x-deadline-ms"]) <= 7000
    assert str(seen[0].url) == "http://x/predict"


def test_an_answer_of_something_else_is_an_error() -> None:
    for answer in (httpx.Response(200, text="<html>"), httpx.Response(502, text="<html>bad gateway")):
        transport = httpx.MockTransport(busy_then([answer]))
        with (
            SteelClient("http://x", retries=0, transport=transport) as client,
            pytest.raises(SteelError, match=r"expected an answer of this service|status 502"),
        ):
            client.predict(STRIP)
