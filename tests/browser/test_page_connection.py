"""The page where the service asks for a key, is gone, busy, or serves another model."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import answered, choose, operator_page, verdict
from tests.browser.strips import STRIP
from tests.support.graded_model import graded_metadata, write_graded_model
from tests.support.images import png
from tests.support.serving import free_port, real_server


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    path = tmp_path / "strip.png"
    path.write_bytes(png(STRIP))
    return path


def test_a_key_is_asked_for_where_it_is_needed_and_hidden_once_it_worked(
    browser: Browser, graded_model: Path, strip: Path
) -> None:
    with real_server(graded_model, api_key="sesame") as server:
        page = browser.new_page(locale="en-GB")
        page.goto(server.url)
        key = page.get_by_label("Key of the service")
        expect(key).to_be_focused()
        key.fill("wrong")
        key.press("Enter")
        expect(page.locator("#key-form")).to_contain_text("This key is not right.")
        page.locator("#files").set_input_files(strip)  # waits for the key
        key.fill("sesame")
        key.press("Enter")
        expect(page.locator("#key-form")).to_be_hidden()
        answered(page, 1)
        assert verdict(page).startswith("DEFECT")
        page.reload()
        page.locator("#kinds-part").wait_for()
        expect(page.locator("#key-form")).to_be_hidden()
        page.close()


def test_a_service_that_is_gone_is_noticed_and_strips_wait_for_it(
    browser: Browser, graded_model: Path, strip: Path
) -> None:
    port = free_port()
    with real_server(graded_model, port=port) as server:
        page = browser.new_page(locale="en-GB")
        page.goto(server.url)
        expect(page.locator("#connection")).to_have_text("connected")
        page.locator("#kinds-part").wait_for()
        server.stop()
        page.locator("#files").set_input_files(strip)
        expect(page.locator("#connection")).to_have_text("no connection")
        expect(page.locator("#reasons")).to_have_text(
            "The service cannot be reached. The strip is sent as soon as it is back."
        )
        expect(page.get_by_text("No defects are marked.")).to_be_hidden()
        assert "fetch" not in page.locator("body").inner_text().lower()
    with real_server(graded_model, port=port):
        page.locator("#reconnect").dispatch_event("click")  # the page may have tried by itself already
        answered(page, 1)
        assert verdict(page).startswith("DEFECT")
        expect(page.locator("#connection")).to_have_text("connected")
        expect(page.locator("#reconnect")).to_be_hidden()
        page.close()


def test_a_busy_service_is_asked_again(page: Page, strip: Path) -> None:
    refused: list[str] = []
    page.route("**/predict*", lambda route: busy(route, refused))
    page.locator("#files").set_input_files(strip)
    answered(page, 1)
    assert verdict(page).startswith("DEFECT")
    assert len(refused) == 1


def busy(route: Route, refused: list[str]) -> None:
    """Refuse the first request as a full queue does."""
    if refused:
        route.continue_()
        return
    refused.append(route.request.url)
    body = '{"title": "Queue full", "status": 429, "detail": "3 strips are waiting already"}'
    route.fulfill(
        status=429, body=body, headers={"Retry-After": "1"}, content_type="application/problem+json"
    )


def test_strips_are_asked_again_when_another_model_serves(
    browser: Browser, tmp_path: Path, strip: Path
) -> None:
    folder = tmp_path / "models" / "tiny"
    write_graded_model(folder / "1" / "model.onnx")
    (tmp_path / "other.png").write_bytes(png(STRIP))
    with real_server(folder, api_key="sesame") as server:
        page = browser.new_page(locale="en-GB")
        page.add_init_script("sessionStorage.setItem('key', 'sesame')")
        page.goto(server.url)
        choose(page, strip)
        metadata = graded_metadata()
        strict = metadata.profiles[0].model_copy(update={"min_area": (6000,) * 4})
        changed = metadata.model_copy(update={"version": "2", "profiles": (strict,)})
        write_graded_model(folder / "2" / "model.onnx", changed)
        reload = httpx.post(f"{server.url}/model/reload", headers={"X-API-Key": "sesame"}, timeout=60)
        assert reload.json()["changed"] is True
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "predict" in request.url else None)
        choose(page, tmp_path / "other.png")
        expect(page.locator("#list .row.suspect")).to_have_count(2)
        assert len(asked) == 2
        page.close()


def test_the_link_to_the_api_is_hidden_where_it_is_off(browser: Browser, graded_model: Path) -> None:
    with (
        real_server(graded_model, docs="off") as server,
        operator_page(browser, server.url, refusals=(404,)) as page,
    ):
        page.locator("#about-button").click()
        expect(page.locator("#facts")).to_contain_text("CPUExecutionProvider")
        expect(page.locator("#api")).to_be_hidden()
