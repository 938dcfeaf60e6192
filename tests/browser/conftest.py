"""A real browser for the pages."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.support.graded_model import write_graded_model
from tests.support.serving import Server, real_server

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a network of its own; tests that use it are skipped without it.

    It runs an event loop for as long as it lives, so it must not outlive its module.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def graded_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model whose first class has the picture itself as its map."""
    return write_graded_model(tmp_path_factory.mktemp("models") / "graded" / "1" / "model.onnx")


@pytest.fixture(scope="module")
def server(graded_model: Path) -> Iterator[Server]:
    """The service with the graded model."""
    with real_server(graded_model) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The operator's page; the test fails if the page logs an error or asks for anything elsewhere."""
    with operator_page(browser, server.url) as page:
        yield page


@contextlib.contextmanager
def operator_page(
    browser: Browser, url: str, *, refusals: tuple[int, ...] = (415, 422, 429), **options: Any
) -> Iterator[Page]:
    """Open the operator's page and wait for the model.

    Args:
        browser: opens it.
        url: of the service.
        refusals: statuses that the test provokes; Chromium notes them as errors.
        options: of the page, for example its viewport.
    """
    options.setdefault("viewport", {"width": 1300, "height": 900})
    options.setdefault("locale", "en-GB")
    page = browser.new_page(**options)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    note_requests_elsewhere(page, url, problems)
    page.goto(url)
    page.locator("#kinds-part").wait_for()
    yield page
    page.close()
    known = tuple(
        f"Failed to load resource: the server responded with a status of {code}" for code in refusals
    )
    assert [problem for problem in problems if not problem.startswith(known)] == []


def note_requests_elsewhere(page: Page, url: str, noted: list[str]) -> None:
    """Note every address that a page asks for outside of a server."""
    own = (url, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else noted.append(request.url))


def choose(page: Page, *files: Path) -> None:
    """Choose files and wait until each has its answer."""
    before = page.locator("#list .row").count()
    page.locator("#files").set_input_files(list(files))
    answered(page, before + len(files))


def answered(page: Page, count: int) -> None:
    """Wait until so many strips are in the list and none waits."""
    page.wait_for_function(
        "count => document.querySelectorAll('#list .row').length === count && "
        "!document.querySelector('#list .row.waiting, #list .row.sent') && "
        "!document.querySelector('#badge[data-name=waiting], #badge[data-name=sent]')",
        arg=count,
        timeout=60_000,
    )
    if page.locator("#list .row:is(.ok, .defect, .suspect, .not_inspected)[aria-selected=true]").count():
        page.wait_for_function("() => !document.getElementById('stage').classList.contains('blank')")


def rows(page: Page) -> list[str]:
    """Return the accessible names of the rows, in order."""
    names: list[str] = page.locator("#list .row").evaluate_all(
        "rows => rows.map(row => row.getAttribute('aria-label'))"
    )
    return names


def verdict(page: Page) -> str:
    """Return the badge and the reasons of the strip that is shown."""
    reasons: list[str] = page.locator("#reasons li").all_inner_texts()
    return ": ".join([page.locator("#badge").inner_text().strip(), *reasons])


def slider(page: Page, field: int, index: int = 0) -> Locator:
    """Return the slider of a class: 0 for its probability, 1 for its pixels, 2 for its smallest mark."""
    return page.locator(f"#fields fieldset:nth-child({index + 1}) .field input[type=range]").nth(field)


def slide(page: Page, field: int, value: float, index: int = 0) -> None:
    """Move a slider and wait for the frame that draws it."""
    slider(page, field, index).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); "
        "return new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn))); }",
        value,
    )
