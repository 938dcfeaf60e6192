"""The page for everybody: axe, keyboard, screen readers, languages, small and large screens, both themes."""

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import choose, operator_page
from tests.browser.strips import write_many
from tests.support.serving import ROOT, Server

WORDS = ROOT / "service" / "page" / "static" / "words"
SERIOUS = ("serious", "critical")
STATES = ("empty", "strips", "tune", "map", "about", "export", "refused")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A few strips and a broken file."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    return [*write_many(tmp_path, 6), broken]


def reach(page: Page, state: str, files: list[Path]) -> None:
    """Bring the page from one of the states to the next."""
    if state == "strips":
        choose(page, *files)
        page.keyboard.press("Home")
    elif state == "tune":
        page.keyboard.press("t")
        page.locator("#fields fieldset").first.wait_for()
    elif state == "map":
        page.keyboard.press("r")
        page.get_by_role("button", name="Probability").click()
    elif state == "about":
        page.locator("#about-button").click()
    elif state == "export":
        page.keyboard.press("Escape")
        page.locator("#export summary").click()
    elif state == "refused":
        page.locator("#list .row.refused").click()
        expect(page.locator("#retry")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_has_no_serious_finding(
    browser: Browser, server: Server, files: list[Path], theme: Literal["light", "dark"]
) -> None:
    pytest.importorskip("axe_playwright_python")
    source = importlib.resources.files("axe_playwright_python") / "axe.min.js"
    # The page's own policy allows no script but its files'.
    with operator_page(browser, server.url, color_scheme=theme, bypass_csp=True) as page:
        page.evaluate(source.read_text())
        for state in STATES:
            reach(page, state, files)
            results: dict[str, Any] = page.evaluate("axe.run()")
            found = [
                (one["id"], node["html"][:120], node["failureSummary"])
                for one in results["violations"]
                if one["impact"] in SERIOUS
                for node in one["nodes"]
            ]
            assert found == [], (state, json.dumps(found, indent=1))
            assert len(results["passes"]) > 20


def test_few_tab_stops_lead_through_the_page_however_many_strips(page: Page, files: list[Path]) -> None:
    choose(page, *files)
    page.keyboard.press("Home")
    page.locator("#review").focus()
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.id || document.activeElement.closest('[id]')?.id")
        if stop == "review" or page.evaluate("document.activeElement === document.body"):
            break
        stops.append(stop)
    assert len(stops) <= 15, stops
    assert {"export", "files", "search", "list", "tools", "classes"} <= set(stops)


def test_the_choice_of_files_opens_by_keyboard(page: Page, files: list[Path]) -> None:
    page.locator("#files").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(files[:1])
    expect(page.locator("#list .row")).to_have_count(1)


def test_every_tool_is_reached_by_arrow_keys(page: Page, files: list[Path]) -> None:
    choose(page, *files)
    page.keyboard.press("Home")
    page.get_by_role("button", name="Masks", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Probability")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#scales")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Masks 30%")).to_be_focused()


def test_the_verdict_is_announced_once_it_rests(page: Page, files: list[Path]) -> None:
    announcer = page.locator("#announcer")
    expect(announcer).to_have_attribute("aria-live", "polite")
    choose(page, *files)
    page.keyboard.press("Home")
    expect(announcer).to_have_text(re.compile("DEFECT, kind 1: 1 defect, "), timeout=3000)
    page.locator("#list .row.refused").click()
    expect(announcer).to_contain_text("broken.png, REFUSED, The file is not a picture", timeout=3000)


def test_rows_tell_screen_readers_their_verdict_and_place(page: Page, files: list[Path]) -> None:
    choose(page, *files)
    page.keyboard.press("Home")
    first = page.get_by_role("listbox").get_by_role("option").first
    expect(first).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("listbox")).to_have_attribute(
        "aria-activedescendant", first.get_attribute("id") or ""
    )


def languages() -> list[str]:
    listed = re.search(r"LANGUAGES = \{(.*?)\}", (WORDS / "words.js").read_text())
    assert listed is not None
    return re.findall(r"(\w+):", listed[1])


def test_every_language_has_all_words_and_their_values(page: Page) -> None:
    def values(text: str | dict[str, str]) -> set[str]:
        forms = text.values() if isinstance(text, dict) else [text]
        return {value for form in forms for value in re.findall(r"\{\w+(?::%)?\}", form)}

    known = {path.stem for path in WORDS.glob("??.js")}
    assert set(languages()) == known >= {"en", "de"}
    loaded = {
        name: page.evaluate("name => import(`/page/words/${name}.js`).then(one => one.default)", name)
        for name in known
    }
    english = loaded.pop("en")
    for name, words in loaded.items():
        assert words.keys() == english.keys(), name
        for key, text in words.items():
            assert values(text) == values(english[key]), (name, key)


def test_words_that_the_page_names_exist(page: Page) -> None:
    english = page.evaluate("import('/page/words/en.js').then(one => one.default)")
    static = WORDS.parent
    named = set(re.findall(r'data-(?:t|label|placeholder)="(\w+)"', (static / "index.html").read_text()))
    for path in static.rglob("*.js"):
        named |= set(re.findall(r'\bt\("(\w+)"', path.read_text()))
    assert named - english.keys() == set()
    assert len(named) > 80


def test_the_language_is_that_of_the_browser_and_can_be_changed(
    browser: Browser, server: Server, files: list[Path]
) -> None:
    with operator_page(browser, server.url, locale="de-DE") as page:
        choose(page, *files)
        expect(page.locator("#totals")).to_have_text("7 Streifen")
        assert page.locator("html").get_attribute("lang") == "de"
        page.locator("#about-button").click()
        page.locator("#language").select_option("en")
        page.keyboard.press("Escape")
        expect(page.locator("#totals")).to_have_text("7 strips")
        page.reload()
        page.locator("#kinds-part").wait_for()
        expect(page.get_by_text("Add strips")).to_be_visible()


def test_it_fits_every_screen(browser: Browser, server: Server, files: list[Path]) -> None:
    widths = (360, 768, 1280, 2560)
    with operator_page(browser, server.url, viewport={"width": 1280, "height": 800}) as page:
        for state in ("empty", "strips", "tune"):
            reach(page, state, files)
            for width in widths:
                resize(page, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (state, width)
        page.keyboard.press("r")
        for width in widths:
            resize(page, width)
            stage, side = page.locator("#stage").bounding_box(), page.locator("#side").bounding_box()
            assert stage is not None
            assert stage["width"] > width * (0.55 if width > 700 else 0.9)
            if width > 700:
                assert side is not None
                assert side["x"] + side["width"] <= stage["x"]  # beside, not below
            else:
                page.locator("#side-toggle").click()
                expect(page.locator("#list")).to_be_visible()
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.locator("#side-toggle").click()


def resize(page: Page, width: int) -> None:
    """Give the page another size, of a phone upright or of a wide screen, and wait until it is laid out."""
    page.set_viewport_size({"width": width, "height": max(740, width * 9 // 16)})
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
