"""Both pages behind a proxy that strips a path: every request stays below it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from steel_client import SteelClient
from tests.browser.conftest import note_requests_elsewhere
from tests.support.images import png
from tests.support.proxies import behind_proxy
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_rle, block_strip


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with real_server(tiny_model, port=free_port(), log_level="error") as server:
        yield server


@pytest.fixture(params=["nginx", "haproxy"], scope="module")
def front(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with behind_proxy(request.param, server.url, tmp_path_factory.mktemp("proxy")) as url:
        yield url


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    path = tmp_path / "strip.png"
    path.write_bytes(png(block_strip(c2=(5, 6, 7, 8))))
    return path


def test_a_strip_can_be_tried_on_the_docs_page(browser: Browser, front: str, strip: Path) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1600})
    elsewhere: list[str] = []
    note_requests_elsewhere(page, front, elsewhere)
    page.goto(f"{front}/docs")
    page.get_by_text("Find defects", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("input[type=file]").set_input_files(strip)
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").wait_for()
    body = json.loads(page.locator(".live-responses-table .highlight-code code").inner_text())
    assert body["images"][0]["classes"][1]["rle"] == block_rle(5, 6, 7, 8)
    assert page.locator(".request-url pre").inner_text().strip().startswith(f"{front}/predict")
    page.close()
    assert elsewhere == []


def test_the_operators_page_and_its_link_work(browser: Browser, front: str, strip: Path) -> None:
    page = browser.new_page()
    elsewhere: list[str] = []
    note_requests_elsewhere(page, front, elsewhere)
    page.goto(f"{front}/")
    page.locator("#files").set_input_files(strip)
    expect(page.locator("#badge")).to_have_text("DEFECT")
    page.locator("#about-button").click()
    expect(page.locator("#command")).to_contain_text(f"{front}/predict?")
    page.locator("#api a").click()
    page.get_by_text("Find defects", exact=True).wait_for()
    page.close()
    assert elsewhere == []


def test_the_client_works_below_a_path(front: str, strip: Path) -> None:
    with SteelClient(front) as client:
        assert client.predict(strip).classes[1].mask.sum() == 7 * 8
