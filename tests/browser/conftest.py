"""A real browser for the pages."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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


def note_requests_elsewhere(page: Page, url: str, noted: list[str]) -> None:
    """Note every address that a page asks for outside of a server."""
    own = (url, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else noted.append(request.url))
