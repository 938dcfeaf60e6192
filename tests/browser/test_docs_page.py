"""The OpenAPI page in a real browser, with no network but the service itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.browser.conftest import note_requests_elsewhere
from tests.support.images import png
from tests.support.serving import Server, real_server
from tests.support.tiny_model import block_rle, block_strip


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with real_server(tiny_model) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1300, "height": 1600})
    elsewhere: list[str] = []
    note_requests_elsewhere(page, server.url, elsewhere)
    page.goto(f"{server.url}/docs")
    page.get_by_text("Find defects", exact=True).wait_for()
    yield page
    page.close()
    assert elsewhere == []


def try_out(page: Page, summary: str, strip: Path) -> None:
    page.get_by_text(summary, exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("input[type=file]").set_input_files(strip)
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").wait_for()


def test_a_strip_can_be_tried_on_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(png(block_strip(c2=(5, 6, 7, 8))))
    try_out(page, "Find defects", tmp_path / "strip.png")
    body = json.loads(page.locator(".live-responses-table .highlight-code code").inner_text())
    assert body["images"][0]["filename"] == "strip.png"
    assert body["images"][0]["classes"][1]["rle"] == block_rle(5, 6, 7, 8)


def test_an_overlay_is_shown_on_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(png(block_strip(c2=(50, 60, 70, 80))))
    try_out(page, "Draw the defects", tmp_path / "strip.png")
    page.locator(".live-responses-table img").wait_for()


@pytest.mark.parametrize("choice", ["the same for every class", "one per class, for a model of four"])
def test_the_examples_of_a_parameter_can_be_tried(page: Page, tmp_path: Path, choice: str) -> None:
    (tmp_path / "strip.png").write_bytes(png(block_strip(c2=(5, 6, 7, 8))))
    page.get_by_text("Find defects", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("tr[data-param-name=threshold] select").select_option(label=choice)
    page.locator("input[type=file]").set_input_files(tmp_path / "strip.png")
    page.get_by_role("button", name="Execute").click()
    body = json.loads(page.locator(".live-responses-table .highlight-code code").inner_text())
    expected = [0.5] * 4 if choice.startswith("the same") else [0.5, 0.4, 0.5, 0.6]
    assert body["profile"]["threshold"] == expected


def test_no_script_fails_and_the_policy_forbids_nothing_that_the_page_needs(
    browser: Browser, server: Server
) -> None:
    page = browser.new_page()
    errors: list[Error | str] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{server.url}/docs")
    page.get_by_text("Find defects", exact=True).click()
    page.get_by_role("button", name="Try it out").wait_for()
    assert errors == []
    # And that it would be noticed: a script that is not the page's own does not run.
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'forged = 1'}))"
    )
    assert page.evaluate("typeof forged") == "undefined"
    assert "Content Security Policy" in str(errors.pop())
    page.close()


def test_a_key_can_be_entered_on_the_page(browser: Browser, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(png(block_strip(c2=(5, 6, 7, 8))))
    with real_server(tiny_model, api_key="sesame") as server:
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.goto(f"{server.url}/docs")
        page.get_by_role("button", name="Authorize").click()
        page.locator(".auth-container input").fill("sesame")
        page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
        page.locator(".auth-btn-wrapper").get_by_role("button", name="Close").click()
        try_out(page, "Find defects", tmp_path / "strip.png")
        body = json.loads(page.locator(".live-responses-table .highlight-code code").inner_text())
        assert body["images"][0]["status"] == 200
        page.close()
