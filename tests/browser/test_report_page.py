"""The page of ``report`` in a real browser, from disk and without a network."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from model_export.report.command import ReportConfig, report

SECTIONS = [
    *(
        "Scores",
        "Data",
        "Labelled strips",
        "Thresholds",
        "Trust",
        "Labels to look at again",
        "Probability maps",
    ),
    *("1 kind 1", "2 kind 2", "3 kind 3", "4 kind 4", "Several classes", "Clean"),
]


@pytest.fixture(scope="module")
def path(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on drawn strips."""
    return report(ReportConfig(drawn=20, model=tiny_model, out=tmp_path_factory.mktemp("report")))


def test_everything_on_the_page_is_shown_and_nothing_is_fetched(browser: Browser, path: Path) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    problems: list[str] = []
    fetched: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(path.as_uri())
    assert page.locator("main h2").all_inner_texts() == SECTIONS
    assert [link.inner_text() for link in page.locator("nav a").all()] == SECTIONS
    pictures = len(list(path.parent.glob("*.png")))
    assert pictures > 20
    assert page.locator("img").count() == pictures
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 300)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert problems == []
    assert [url for url in fetched if not url.startswith(("data:", "file:"))] == []
    page.close()


def test_a_narrow_window_scrolls_one_way_only(browser: Browser, path: Path) -> None:
    page = browser.new_page(viewport={"width": 480, "height": 800})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
