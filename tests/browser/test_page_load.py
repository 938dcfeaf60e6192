"""What the page costs: bytes to load, time of a slider's move, memory of many strips."""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import answered, operator_page, slide
from tests.browser.strips import write_many
from tests.support.serving import ROOT, Server

STATIC = ROOT / "service" / "page" / "static"
MOST_BYTES = 60_000
ROWS = 500
pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_many(tmp_path_factory.mktemp("strips"), 100)


def test_the_page_is_small(browser: Browser, server: Server, many: list[Path]) -> None:
    page = browser.new_page(locale="en-GB")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: dict[str, float] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: urls.update({event["requestId"]: event["request"]["url"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({urls[event["requestId"]]: event["encodedDataLength"]}),
    )
    page.goto(server.url)
    page.locator("#kinds-part").wait_for()
    page.locator("#files").set_input_files(many[:1])
    answered(page, 1)
    opened = own_files(sizes)
    for name in ("picture", "document", "list", "defects", "zip"):
        page.locator("#export summary").click()
        with page.expect_download():
            page.locator(f"[data-out={name}]").click()
    page.keyboard.press("t")
    page.locator("#fields fieldset").first.wait_for()
    page.close()
    everything = own_files(sizes)
    print(f"opened: {opened:,.0f} bytes, with every export and Tune: {everything:,.0f} bytes")
    assert 20_000 < opened <= MOST_BYTES
    assert opened < everything <= 1.25 * MOST_BYTES


def own_files(sizes: dict[str, float]) -> float:
    """Return the bytes of the page's own files with their headers: no pictures, no answers about strips."""
    data = re.compile(r"\.jpg$|/model$|/predict\?")
    return sum(size for url, size in sizes.items() if not data.search(url))


def test_the_contents_of_all_files_together_are_small() -> None:
    """Of one language, as gzip; without headers."""
    files = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html")]
    one_language = [path for path in files if not re.fullmatch(r"(?!en)\w\w\.js", path.name)]
    size = sum(len(gzip.compress(path.read_bytes())) for path in one_language)
    plain = sum(map(os.path.getsize, one_language))
    print(f"{len(one_language)} files, {size:,} bytes compressed, {plain:,} as they are")
    assert size <= MOST_BYTES


@pytest.fixture(scope="module")
def crowded(browser: Browser, server: Server, many: list[Path]) -> Iterator[Page]:
    """The page with 500 strips."""
    with operator_page(browser, server.url) as page:
        for _ in range(ROWS // len(many)):
            before = page.locator("#list .row").count()
            page.locator("#files").set_input_files(many)
            answered(page, before + len(many))
        yield page


def last(page: Page, name: str) -> float:
    """Return the milliseconds that a step of the page took last."""
    value: float = page.evaluate("name => performance.getEntriesByName(name).at(-1).duration", name)
    return value


def test_a_move_of_a_slider_redraws_the_strip_and_updates_every_row(crowded: Page) -> None:
    crowded.keyboard.press("Home")
    crowded.wait_for_function("() => !document.getElementById('stage').classList.contains('blank')")
    crowded.keyboard.press("t")
    redraws, updates = [], []
    for move in range(20):
        slide(crowded, 1, 120 + 7 * (move % 2) * 10)
        redraws.append(last(crowded, "redraw"))
        updates.append(last(crowded, "rows"))
    redraws.sort()
    updates.sort()
    print(f"redraw: median {redraws[10]:.1f} ms, most {redraws[-1]:.1f}")
    print(f"{ROWS} rows: median {updates[10]:.1f} ms, most {updates[-1]:.1f}")
    assert redraws[10] < 100
    assert updates[10] < 500


def test_many_strips_take_little_memory(crowded: Page, browser: Browser) -> None:
    session = crowded.context.new_cdp_session(crowded)
    session.send("HeapProfiler.collectGarbage")
    heap: float = crowded.evaluate("performance.memory.usedJSHeapSize")
    renderers = [
        process.memory_full_info().uss
        for process in psutil.Process().children(recursive=True)
        if "--type=renderer" in " ".join(process.cmdline())
    ]
    print(f"{ROWS} strips: heap {heap / 1e6:.0f} MB, renderer {max(renderers) / 1e6:.0f} MB")
    assert max(renderers) < 300e6
