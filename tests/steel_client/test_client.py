"""Calls, retries and deadlines, against the application and against servers that refuse."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import h11
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from service.app import create_app
from service.model.session import OrtSession
from service.settings import Settings
from steel_client import AsyncSteelClient, ConfigurationError, SteelClient, SteelError
from steel_client.errors import error_from_response
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


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_retried(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steel_client.client.time.sleep", lambda _seconds: None)
    answers: list[httpx.Response | Exception] = [refusal(status), refusal(status), refusal(415)]
    with (
        SteelClient("http://x", transport=httpx.MockTransport(busy_then(answers))) as client,
        pytest.raises(SteelError) as caught,
    ):
        client.predict(STRIP)
    assert caught.value.status == 415


@pytest.mark.parametrize("status", [400, 401, 413, 422])
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


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("a\nb\r.png", "a\ufffdb\ufffd.png"),
        (" a .png ", "\ufffda .png\ufffd"),
        ("\0\t\x7f", "\ufffd" * 3),
        ("\udcff.png", "\ufffd.png"),
        ("größe\u2028\x85.png", "größe\u2028\x85.png"),
    ],
)
async def test_every_name_is_sent(app: FastAPI, name: str, received: str) -> None:
    request = AsyncSteelClient("http://x")._requests.predict(STRIP, name, 1)
    # On a connection h11 refuses what no header may hold; the application's transport does not.
    h11.Request(method="POST", target="/predict", headers=request.headers.raw)
    async with running_app(app), AsyncSteelClient("http://x", transport=httpx.ASGITransport(app)) as client:
        assert (await client.predict(STRIP, name)).result.filename == received


async def test_a_path_may_be_text(app: FastAPI, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(STRIP)
    async with running_app(app), AsyncSteelClient("http://x", transport=httpx.ASGITransport(app)) as client:
        assert (await client.predict(str(tmp_path / "strip.png"))).result.filename == "strip.png"


async def test_a_key_may_have_an_umlaut(tiny_session: OrtSession) -> None:
    app = create_app(Settings(api_key=SecretStr("Schlüssel")), session=tiny_session)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with AsyncSteelClient("http://x", api_key="Schlüssel", transport=transport) as client:
            assert (await client.model()).name == "tiny"
            assert (await client.predict(STRIP)).defect


@pytest.mark.parametrize("key", ["", "two words", "line\n", "\udcff"])
def test_a_key_that_no_header_holds_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an API key of printable characters"):
        SteelClient("http://x", api_key=key)


@pytest.mark.parametrize("timeout", [0, -1, math.inf, math.nan, 1e12])
def test_a_timeout_that_no_call_can_have_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout: expected more than 0 and at most 86400 seconds"):
        SteelClient("http://x", timeout=timeout)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://x",
        "",
        "http://",
        "http://x:port",
        "http://x:99999",
        "http://x/?a=1",
        "http://x#a",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a (URL|port)"):
        SteelClient(url)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "socks5://proxy:1080"),
        ("ALL_PROXY", "proxy.mill:port"),
        ("HTTPS_PROXY", "ftp://proxy"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
    ],
)
def test_a_proxy_or_certificate_of_the_environment_that_cannot_be_used_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    for make in (SteelClient, AsyncSteelClient):
        with pytest.raises(ConfigurationError, match=r"in the environment cannot be used \(HTTP_PROXY"):
            make("https://x")


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[httpx.Response | Exception] = [httpx.ProxyError("403 Forbidden")]
    with (
        SteelClient("http://x", retries=0, transport=httpx.MockTransport(busy_then(answers))) as client,
        pytest.raises(SteelError, match=r"the proxy of the environment \(HTTP_PROXY.* 403 Forbidden"),
    ):
        client.predict(STRIP)


def test_no_certificate_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    os.mkfifo(tmp_path / "fifo.pem")
    for name, message in (
        ("no.pem", "expected a PEM"),
        ("gone.pem", "there is no"),
        ("fifo.pem", "there is no"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            SteelClient("https://x", ca=tmp_path / name)


def test_an_error_says_whether_it_is_of_the_file() -> None:
    def error(status: int, **more: str) -> SteelError:
        return error_from_response(httpx.Response(status, json={"title": "t", "detail": "d", **more}))

    assert [status for status in range(400, 600) if error(status).concerns_file] == [413, 415, 422]
    assert not error(422, parameter="profile").concerns_file
    assert error(422, parameter="profile").parameter == "profile"
    assert not error_from_response(httpx.Response(422, json=["not", "a", "problem"])).transient
