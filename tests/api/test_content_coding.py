"""Compressed bodies on every route that takes strips, and what is refused."""

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.http.content_coding import accepted_coding
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import running_app
from tests.support.tiny_model import block_rle, block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(10, 5, 3, 4)))
INFER = "/v2/models/tiny/infer"
PATHS = ("/predict", "/overlay", INFER)
BOMB = gzip.compress(bytes(100_000_000))


def body_of(path: str) -> bytes:
    if path != INFER:
        return STRIP
    data = [base64.b64encode(STRIP).decode()]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


async def sent(
    client: httpx.AsyncClient, path: str, body: Any, coding: str, **headers: str
) -> httpx.Response:
    return await client.post(path, content=body, headers={"Content-Encoding": coding, **headers})


def same(plain: httpx.Response, other: httpx.Response) -> bool:
    if plain.headers["content-type"] == "image/png":
        return plain.content == other.content
    unlike = ("timing_ms", "id")
    return {k: v for k, v in plain.json().items() if k not in unlike} == {
        k: v for k, v in other.json().items() if k not in unlike
    }


@pytest.mark.parametrize("path", PATHS)
async def test_a_compressed_body_is_answered_as_the_plain_one(client: httpx.AsyncClient, path: str) -> None:
    body = body_of(path)
    plain = await client.post(path, content=body)
    assert plain.status_code == 200
    cut = len(body) // 2
    for coding, compressed in (
        ("gzip", gzip.compress(body)),
        ("GZIP", gzip.compress(body)),
        ("x-gzip", gzip.compress(body)),
        ("gzip, identity", gzip.compress(body)),
        ("gzip", gzip.compress(body[:cut]) + gzip.compress(b"") + gzip.compress(body[cut:])),
        ("deflate", zlib.compress(body)),
        ("identity", body),
        ("", body),
    ):
        answer = await sent(client, path, compressed, coding)
        assert answer.status_code == 200, (coding, answer.text[:300])
        assert same(plain, answer)


async def test_a_form_may_be_compressed_and_arrive_in_pieces(client: httpx.AsyncClient) -> None:
    form = httpx.Request("POST", "http://x", files=[("file", ("a.png", STRIP)), ("file", ("b.png", STRIP))])
    compressed = gzip.compress(form.read())

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(len(compressed)):
            yield compressed[at : at + 1]

    headers = {"Content-Type": form.headers["content-type"]}
    answer = await sent(client, "/predict", pieces(), "gzip", **headers)
    assert [image["filename"] for image in answer.json()["images"]] == ["a.png", "b.png"]
    assert answer.json()["images"][1]["classes"][0]["rle"] == block_rle(10, 5, 3, 4)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "gz\xefp", "x" * 9000]
)
async def test_another_coding_is_refused_with_those_that_are_known(
    client: httpx.AsyncClient, path: str, coding: str
) -> None:
    headers = [(b"content-encoding", coding.encode("latin-1"))]
    answer = await client.post(path, content=STRIP, headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")
    assert "expected a Content-Encoding of gzip, deflate or none, got" in answer.json()["detail"]
    assert len(answer.content) < 600
    assert ("error" in answer.json()) == (path == INFER)


async def test_codings_in_two_headers_are_both_seen(client: httpx.AsyncClient) -> None:
    headers = [("Content-Encoding", "gzip"), ("Content-Encoding", "br")]
    assert (await client.post("/predict", content=STRIP, headers=headers)).status_code == 415


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("coding", "change", "reason"),
    [
        ("gzip", lambda data: data, "incorrect header check"),
        ("gzip", lambda data: b"", "cut short"),
        ("gzip", lambda data: gzip.compress(data)[:-1], "cut short"),
        ("gzip", lambda data: gzip.compress(data)[:-8], "cut short"),
        ("gzip", lambda data: gzip.compress(data)[:5], "cut short"),
        ("gzip", lambda data: gzip.compress(data)[:-8] + bytes(8), "incorrect data check"),
        ("gzip", lambda data: gzip.compress(data) + b"more", "incorrect header check"),
        ("gzip", lambda data: zlib.compress(data), "incorrect header check"),
        ("deflate", lambda data: zlib.compress(data)[:-1], "cut short"),
        ("deflate", lambda data: zlib.compress(data) + b"more", "more follows its end"),
        ("deflate", lambda data: zlib.compress(data)[2:-4], "incorrect header check"),
        ("deflate", lambda data: gzip.compress(data), "incorrect header check"),
    ],
)
async def test_a_damaged_body_is_refused(
    client: httpx.AsyncClient, path: str, coding: str, change: Any, reason: str
) -> None:
    answer = await sent(client, path, change(body_of(path)), coding)
    problem = answer.json()
    assert (answer.status_code, problem["parameter"]) == (422, "Content-Encoding")
    assert problem["detail"].startswith(f"the body is no {coding} data: ")
    assert reason in problem["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_bomb_is_refused_when_it_is_as_large_as_a_body_may_be(
    client: httpx.AsyncClient, path: str
) -> None:
    for compressed in (BOMB, gzip.compress(BOMB)):
        answer = await sent(client, path, compressed, "gzip", **{"Content-Type": "application/octet-stream"})
        assert answer.status_code in (413, 415, 422)
    assert (await client.get("/health/ready")).status_code == 200


async def test_the_limits_count_what_comes_out(tiny_session: OrtSession) -> None:
    settings = Settings(max_body_bytes=200_000, max_file_bytes=100_000, max_buffered_bytes=300_000)
    app = create_app(settings, session=tiny_session)
    async with running_app(app) as client:
        for path, size, detail in (
            ("/predict", 150_000, "an image file of at most 100000 bytes"),
            (INFER, 250_000, "a body of at most 200000 bytes"),
        ):
            answer = await sent(client, path, gzip.compress(bytes(size)), "gzip")
            assert answer.status_code == 413
            assert detail in answer.json()["detail"]
        damaged = bytes(200_001)  # its announced length is refused, and it is no gzip data
        assert (await sent(client, "/predict", damaged, "gzip")).status_code == 413
        assert (await client.post("/predict", content=STRIP)).status_code == 200


async def test_bytes_that_come_out_count_as_buffered(tiny_session: OrtSession) -> None:
    settings = Settings(max_body_bytes=1_000_000, max_file_bytes=1_000_000, max_buffered_bytes=1_000_000)
    app = create_app(settings, session=tiny_session)

    async def slow() -> AsyncIterator[bytes]:
        encoder = zlib.compressobj(wbits=31)
        yield encoder.compress(bytes(900_000)) + encoder.flush(zlib.Z_SYNC_FLUSH)
        arrived.append(await client.post("/predict", content=bytes(600_000)))
        yield encoder.flush()

    arrived: list[httpx.Response] = []
    async with running_app(app) as client:
        await sent(client, "/predict", slow(), "gzip")
    assert arrived[0].status_code == 503


async def test_a_get_with_a_coding_is_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live", headers={"Content-Encoding": "br"})).status_code == 200


def test_the_preferred_coding_is_taken() -> None:
    for header, coding in (
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip; q=0", None),
        ("gzip;q=0.5, identity", None),
        ("br", None),
        ("*", None),
        ("identity;q=0, *;q=0", None),
        ("gzip;q=many", None),
        (";;;", None),
    ):
        assert accepted_coding(header) == coding, header
