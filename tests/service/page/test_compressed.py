"""The page's text files in gzip, and everything else as before."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from service.page.compressed import CompressedFiles

pytestmark = pytest.mark.anyio

TEXT = "export const words = 1;\n" * 50


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "en.js").write_text(TEXT)
    (tmp_path / "picture.jpg").write_bytes(b"a picture")
    app = Starlette(
        routes=[Mount("/page", CompressedFiles(StaticFiles(directory=tmp_path), tmp_path), name="page")]
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5, *;q=0", "GZIP"])
async def test_text_is_compressed_for_those_who_take_it(client: httpx.AsyncClient, accepted: str) -> None:
    answer = await client.get("/page/words/en.js", headers={"Accept-Encoding": accepted})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "accept-encoding"
    assert int(answer.headers["content-length"]) < 100
    assert answer.text == TEXT


@pytest.mark.parametrize("accepted", ["identity", "", "br", "gzip;q=0", "gzip; q=0.0"])
async def test_text_is_plain_for_all_others(client: httpx.AsyncClient, accepted: str) -> None:
    answer = await client.get("/page/words/en.js", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert answer.text == TEXT


async def test_pictures_ranges_and_other_methods_are_left_alone(client: httpx.AsyncClient) -> None:
    assert (await client.get("/page/picture.jpg")).content == b"a picture"
    assert (await client.get("/page/none.js")).status_code == 404
    assert (await client.post("/page/words/en.js")).status_code == 405
    head = await client.head("/page/words/en.js")
    assert "content-encoding" not in head.headers
    part = await client.get("/page/words/en.js", headers={"Range": "bytes=0-5"})
    assert "content-encoding" not in part.headers
