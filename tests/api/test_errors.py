"""Each error of the contract, with its problem+json."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from service.app import create_app
from service.geometry import Strip
from service.images.decode import Size, decode
from service.model.session import OrtSession, Probabilities
from service.settings import Settings
from tests.support.images import encoded, png
from tests.support.serving import running_app
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(0, 0, 5, 5)))
PNG = {"Content-Type": "image/png"}


class GatedSession:
    """The tiny model behind a gate: stops until let through, fails if told so."""

    def __init__(self, session: OrtSession) -> None:
        self.metadata = session.metadata
        self.sha256 = session.sha256
        self.provider = session.provider
        self.fallback_reason = "for tests"
        self.max_parallel_runs = 1
        self.batches = True
        self.gate = threading.Semaphore(0)
        self.fails = False
        self.runs = 0
        self._session = session

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        self.runs += 1
        assert self.gate.acquire(timeout=20)
        if self.fails:
            raise RuntimeError("secret reason")
        return self._session.infer(strips)


@pytest.fixture
def gated(tiny_session: OrtSession) -> GatedSession:
    return GatedSession(tiny_session)


def check(response: httpx.Response, status: int, kind: str, detail: str) -> dict[str, object]:
    """Every error has the one shape."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert problem["type"] == f"urn:steel:problem:{kind}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert detail in str(problem["detail"])
    assert problem["title"]
    return problem


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("threshold=1.5", "threshold", "each from 0 to 1, got '1.5'"),
        ("threshold=a", "threshold", "got 'a'"),
        ("min_area=-3", "min_area", "a whole number of pixels, got '-3'"),
        ("mask_format=svg", "mask_format", "'png' or 'none'"),
        ("profile=best", "profile", "expected one of inspection, kaggle, got 'best'"),
        ("treshold=0.5", "treshold", "there is no such parameter"),
    ],
)
async def test_422_a_wrong_parameter(
    client: httpx.AsyncClient, query: str, parameter: str, detail: str
) -> None:
    response = await client.post(f"/predict?{query}", content=STRIP, headers=PNG)
    assert check(response, 422, "invalid-parameter", detail)["parameter"] == parameter


@pytest.mark.parametrize("deadline", ["0", "-5", "soon", "1" + "0" * 400])
async def test_422_a_wrong_deadline(client: httpx.AsyncClient, deadline: str) -> None:
    response = await client.post("/predict", content=STRIP, headers=PNG | {"X-Deadline-Ms": deadline})
    check(response, 422, "invalid-parameter", "X-Deadline-Ms")


async def test_422_an_image_that_is_too_small(client: httpx.AsyncClient) -> None:
    small = encoded(Image.new("L", (800, 600)), "PNG")
    detail = "expected an image of at least 1600x256 pixels, got a PNG of 800x600; pad=true"
    check(await client.post("/predict", content=small, headers=PNG), 422, "invalid-image", detail)
    files = {"file": ("a.png", small, "image/png")}
    check(await client.post("/predict", files=files), 422, "invalid-image", detail)


async def test_422_a_truncated_image(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=STRIP[:200], headers=PNG)
    check(response, 422, "invalid-image", "the PNG cannot be decoded")


async def test_422_an_empty_body(client: httpx.AsyncClient) -> None:
    check(await client.post("/predict", headers=PNG), 422, "invalid-image", "0 bytes")


async def test_422_no_part_named_file(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", files={"image": ("a.png", STRIP, "image/png")})
    check(response, 422, "invalid-parameter", "got a file named 'image'")
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    text = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n'
    response = await client.post("/predict", content=text, headers=multipart)
    check(response, 422, "invalid-parameter", "got text named 'file'")
    response = await client.post("/predict", content=b"--x--\r\n", headers=multipart)
    check(response, 422, "invalid-parameter", "expected parts named 'file', got none")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
async def test_422_broken_multipart(client: httpx.AsyncClient, kind: str) -> None:
    response = await client.post("/predict", content=b"rubbish", headers={"Content-Type": kind})
    check(response, 422, "invalid-parameter", "the multipart body cannot be read")


async def test_415_other_types(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=b"%PDF-1.7", headers=PNG)
    check(response, 415, "unsupported-media-type", "begins with the bytes 25 50 44 46")
    response = await client.post("/predict", json={"file": "x"})
    check(response, 415, "unsupported-media-type", "got 'application/json'")


async def test_413_too_many_pixels(client: httpx.AsyncClient) -> None:
    large = encoded(Image.new("1", (6000, 6000)), "PNG")
    response = await client.post("/predict", content=large, headers=PNG)
    check(response, 413, "payload-too-large", "got a PNG of 6000x6000 = 36000000")


@pytest.fixture
async def small_client(tiny_session: OrtSession) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(max_body_bytes=10_000, max_file_bytes=5_000, max_files=2)
    async with running_app(create_app(settings, session=tiny_session)) as client:
        yield client


async def test_413_a_body_that_says_it_is_too_long(small_client: httpx.AsyncClient) -> None:
    response = await small_client.post("/predict", content=bytes(10_001), headers=PNG)
    check(response, 413, "payload-too-large", "expected a body of at most 10000 bytes, got 10001")
    assert "connection" not in response.headers  # the rest of the body is read and dropped


async def test_413_a_body_that_grows_too_long_is_cut_while_it_arrives(
    small_client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1000
            yield bytes(1000)

    response = await small_client.post("/predict", content=chunks(), headers=PNG)
    check(response, 413, "payload-too-large", "expected an image file of at most 5000 bytes")
    assert sent <= 6000

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for number in range(100):
            sent += 1000
            yield (
                b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
                if number == 0
                else b""
            )
            yield bytes(1000)

    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    sent = 0
    response = await small_client.post("/predict", content=parts(), headers=multipart)
    check(response, 413, "payload-too-large", "expected an image file of at most 5000 bytes")
    assert sent <= 6000
    sent = 0
    response = await small_client.post("/model", content=chunks(), headers=multipart)
    assert response.status_code == 405


async def test_413_a_file_that_no_strip_needs(small_client: httpx.AsyncClient) -> None:
    response = await small_client.post("/predict", content=bytes(5_001), headers=PNG)
    check(response, 413, "payload-too-large", "expected an image file of at most 5000 bytes")


async def test_503_too_many_bytes_of_all_requests(tiny_session: OrtSession) -> None:
    settings = Settings(max_buffered_bytes=10_000)
    async with running_app(create_app(settings, session=tiny_session)) as client:
        response = await client.post("/predict", content=bytes(10_001), headers=PNG)
        check(response, 503, "not-ready", "too many bytes of other requests")
        assert response.headers["retry-after"] == "1"
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 200


@pytest.mark.parametrize("charset", ["undefined", "utf-7", "unicode_escape", "latin-1"])
async def test_a_charset_of_the_callers_breaks_nothing(client: httpx.AsyncClient, charset: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="+2AA-\\ud800.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + STRIP + b"\r\n--x--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    response = await client.post("/predict", content=body, headers=headers)
    assert response.status_code == 200
    assert response.json()["images"][0]["status"] == 200
    other = body.replace(b'name="file"', b'name="\\ud800"')
    response = await client.post("/predict", content=other, headers=headers)
    assert response.status_code == 422


async def test_a_request_is_taken_whole_or_not_at_all(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(max_queue_size=3, max_files=3), session=gated)) as client:
        files = [("file", (name, STRIP, "image/png")) for name in "ab"]
        calls = [asyncio.create_task(client.post("/predict", files=files)) for _ in range(2)]
        while gated.runs < 1:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        files.append(("file", ("c", STRIP, "image/png")))
        response = await client.post("/predict", files=files)
        check(response, 429, "queue-full", "strips are waiting")
        gated.gate.release(4)
        for answer in await asyncio.gather(*calls):
            if answer.status_code == 200:
                assert [image["status"] for image in answer.json()["images"]] == [200, 200]
            else:
                check(answer, 429, "queue-full", "strips are waiting")


async def test_what_is_no_image_takes_no_room(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(max_queue_size=2, max_files=2), session=gated)) as client:
        calls = [asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG))]
        while gated.runs < 1:
            await asyncio.sleep(0.005)
        calls.append(asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG)))
        await asyncio.sleep(0.2)
        # One place is left, and the gate is closed: these two are answered without either.
        files = [("file", (name, b"no image", "image/png")) for name in "ab"]
        response = await client.post("/predict", files=files)
        assert [image["status"] for image in response.json()["images"]] == [415, 415]
        files[0] = ("file", ("a", STRIP, "image/png"))
        mixed = asyncio.create_task(client.post("/predict", files=files))
        gated.gate.release(3)
        assert [image["status"] for image in (await mixed).json()["images"]] == [200, 415]
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200, 200]


async def test_a_bug_with_one_file_fails_that_file_alone(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(data: bytes, *, max_pixels: int, bits: int | None, least: Size | None) -> Strip:
        if data == b"BM bad":
            raise MemoryError("secret")
        return decode(data, max_pixels=max_pixels, bits=bits, least=least)

    monkeypatch.setattr("service.inference.prediction.decode", breaks)
    files = [("file", (name, data, "image/png")) for name, data in (("a", STRIP), ("b", b"BM bad"))]
    response = await client.post("/predict", files=files)
    assert [image["status"] for image in response.json()["images"]] == [200, 500]
    assert "secret" not in response.text


async def test_413_too_many_files(small_client: httpx.AsyncClient) -> None:
    files = [("file", (name, b"x", "image/png")) for name in "abc"]
    response = await small_client.post("/predict", files=files)
    check(response, 413, "payload-too-large", "expected at most 2 files")


async def test_401_a_key_is_wanted(tiny_session: OrtSession) -> None:
    settings = Settings(api_key=SecretStr("sesame"))
    async with running_app(create_app(settings, session=tiny_session)) as client:
        for method, route in (("POST", "/predict"), ("POST", "/overlay"), ("GET", "/model")):
            for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}):
                response = await client.request(method, route, headers=headers)
                check(response, 401, "api-key-missing-or-wrong", "X-API-Key")
                assert response.headers["www-authenticate"] == "ApiKey"
        key = {"X-API-Key": "sesame"}
        assert (await client.post("/predict", content=STRIP, headers=PNG | key)).status_code == 200
        assert (await client.get("/model", headers=key)).status_code == 200
        assert (await client.get("/metrics")).status_code == 200


async def test_429_a_full_queue(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(max_queue_size=2, max_files=2), session=gated)) as client:
        calls = [asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG))]
        while gated.runs < 1:
            await asyncio.sleep(0.005)
        calls += [asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG)) for _ in range(2)]
        await asyncio.sleep(0.2)
        response = await client.post("/predict", content=STRIP, headers=PNG)
        check(response, 429, "queue-full", "2 strips are waiting")
        assert int(response.headers["retry-after"]) >= 1
        files = [("file", (name, STRIP, "image/png")) for name in "ab"]
        check(await client.post("/predict", files=files), 429, "queue-full", "2 strips are waiting")
        gated.gate.release(3)
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200, 200, 200]
        text = (await client.get("/metrics")).text
        assert 'steel_requests_total{route="/predict",status="429"} 2.0' in text


async def test_429_a_queue_too_long_for_the_deadline(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(), session=gated)) as client:
        calls = [asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG))]
        await asyncio.sleep(0.4)  # the service learns that a strip takes so long
        gated.gate.release()
        await calls[0]
        hurried = PNG | {"X-Deadline-Ms": "200"}
        calls = [asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG)) for _ in range(3)]
        while gated.runs < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        response = await client.post("/predict", content=STRIP, headers=hurried)
        check(response, 429, "queue-full", "too many for an answer before the deadline in 0.")
        assert int(response.headers["retry-after"]) >= 1
        gated.gate.release(4)
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200, 200, 200]
        # Nobody waits now: however slow the last spell was, the strip is taken.
        assert (await client.post("/predict", content=STRIP, headers=hurried)).status_code == 200


async def test_504_a_deadline(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(), session=gated)) as client:
        headers = PNG | {"X-Deadline-Ms": "100"}
        response = await client.post("/predict", content=STRIP, headers=headers)
        check(response, 504, "deadline-exceeded", "the deadline passed")
        gated.gate.release()


async def test_504_the_services_own_limit_and_the_queue_behind(gated: GatedSession) -> None:
    async with running_app(create_app(Settings(request_timeout_s=0.15), session=gated)) as client:
        calls = [client.post("/predict", content=STRIP, headers=PNG) for _ in range(3)]
        for response in await asyncio.gather(*calls):
            check(response, 504, "deadline-exceeded", "deadline")
        gated.gate.release()
        await asyncio.sleep(0.05)
    assert gated.runs <= 1  # those that waited were dropped before the model ran


async def test_500_says_nothing_of_the_inside(gated: GatedSession) -> None:
    gated.fails = True
    gated.gate.release(2)
    async with running_app(create_app(Settings(), session=gated)) as client:
        response = await client.post("/predict", content=STRIP, headers=PNG)
        check(response, 500, "internal-error", "under the request id")
        assert "secret" not in response.text
        gated.fails = False
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 200


async def test_500_for_a_bug_outside_the_model(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.routes.draw_overlay", lambda *_: 1 / 0)
    response = await client.post("/overlay", content=STRIP, headers=PNG)
    check(response, 500, "internal-error", "under the request id")
    assert "ZeroDivision" not in response.text


async def test_503_while_loading_and_while_draining(gated: GatedSession) -> None:
    app = create_app(Settings(), session=gated)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for route in ("/health/ready", "/model"):
            response = await client.get(route)
            check(response, 503, "not-ready", "the model is being loaded")
            assert response.headers["retry-after"] == "2"
        response = await client.post("/predict", content=STRIP, headers=PNG)
        check(response, 503, "not-ready", "the model is being loaded")
        assert (await client.get("/health/live")).json() == {"status": "live"}
    async with running_app(app) as client:
        app.state.engine.draining = True
        response = await client.post("/predict", content=STRIP, headers=PNG)
        check(response, 503, "not-ready", "shutting down")


async def test_404_and_405_have_the_same_shape(client: httpx.AsyncClient) -> None:
    check(await client.get("/predictions"), 404, "not-found", "there is no /predictions here")
    check(await client.get("/predict"), 405, "method-not-allowed", "GET does not work on /predict")
