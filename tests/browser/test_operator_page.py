"""The page at / in a real browser: verdict, list, thresholds, on a model whose map is the picture itself."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import answered, choose, operator_page, rows, slide, slider, verdict
from tests.browser.strips import LARGE, SMALL, STRIP, rectangle, write_many
from tests.support.graded_model import graded_metadata, write_graded_model
from tests.support.health import NO_STEEL, STEEL, write_watchful_model
from tests.support.images import png
from tests.support.serving import Server, real_server


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    path = tmp_path / "strip.png"
    path.write_bytes(png(STRIP))
    return path


def test_the_verdict_comes_first_with_icon_word_and_reason(page: Page, strip: Path) -> None:
    choose(page, strip)
    assert verdict(page) == "DEFECT: kind 1: 2 defects, largest 3,000 px, 78%"
    expect(page.locator("#badge svg.defect")).to_be_visible()
    expect(page.locator("#strip-name")).to_have_text("strip.png")
    badge, stage = page.locator("#verdict").bounding_box(), page.locator("#stage").bounding_box()
    assert badge is not None
    assert stage is not None
    assert badge["y"] < stage["y"]


def test_thresholds_act_at_once_on_every_row_and_without_the_service(page: Page, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(STRIP))
    (tmp_path / "b.png").write_bytes(png(rectangle(40, value=140)))
    choose(page, tmp_path / "a.png", tmp_path / "b.png")
    page.keyboard.press("t")
    expect(slider(page, 0)).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert rows(page) == ["a.png, DEFECT, kind 1 78%", "b.png, DEFECT, kind 1 55%"]
    slide(page, 0, 600)
    assert rows(page) == ["a.png, DEFECT, kind 1 78%", "b.png, OK"]
    slide(page, 0, 500)
    slide(page, 1, 180)
    assert rows(page)[1] == "b.png, SUSPECT, kind 1 55%"
    assert verdict(page) == "DEFECT: kind 1: 1 defect, 3,000 px, 78%"
    slide(page, 2, 6000)
    assert verdict(page) == "SUSPECT: kind 1 78%, but its mark is smaller than 6,000 px: look yourself"
    assert rows(page)[0] == "a.png, SUSPECT, kind 1 78%"
    expect(page.locator("#filters .suspect .count")).to_have_text("2")
    page.locator("#profile-reset").click()
    expect(page.locator("#filters .defect .count")).to_have_text("2")
    assert verdict(page) == "DEFECT: kind 1: 2 defects, largest 3,000 px, 78%"
    page.locator("#profile").select_option("kaggle")
    expect(slider(page, 2)).to_have_value("100")
    assert asked == []


def test_a_step_of_a_key_changes_what_is_marked(page: Page, strip: Path) -> None:
    choose(page, strip)
    page.keyboard.press("t")
    slide(page, 1, 150)
    assert verdict(page) == "DEFECT: kind 1: 2 defects, largest 3,000 px, 78%"
    slider(page, 1).focus()
    page.keyboard.press("ArrowRight")  # 151 of 255
    expect(page.locator("#reasons")).to_have_text("kind 1: 1 defect, 3,000 px, 78%")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#reasons")).to_have_text("kind 1: 2 defects, largest 3,000 px, 78%")


def test_review_has_no_slider_and_tune_flags_and_marks_what_changed(page: Page, strip: Path) -> None:
    choose(page, strip)
    assert page.locator("input[type=range]:visible").count() == 0
    expect(page.locator("#classes .class").first).to_contain_text("present from 50%")
    page.get_by_text("Tune", exact=True).click()
    expect(page.locator("#fields input[type=range]:visible")).to_have_count(12)
    assert page.locator("#fields .mark:visible").count() == 12
    assert page.locator("#fields .changed").count() == 0
    box = page.get_by_role("spinbutton", name="Pixel marked from, kind 1")
    assert box.input_value() == "50"
    box.fill("60.5")
    box.press("Tab")
    expect(page.locator("#fields .changed")).to_have_count(1)
    expect(page.locator("#fields .changed .flag")).to_have_text("changed (profile: 50%)")
    page.locator("#profile-reset").click()
    expect(page.locator("#fields .changed")).to_have_count(0)


def test_a_class_threshold_below_what_the_model_computes_is_not_offered(
    browser: Browser, strip: Path, tmp_path: Path
) -> None:
    metadata = graded_metadata().model_copy(update={"gate": (0.4, 0.4, 0.4, 0.4)})
    with (
        real_server(write_graded_model(tmp_path / "tiny" / "1" / "model.onnx", metadata)) as server,
        operator_page(browser, server.url) as page,
    ):
        choose(page, strip)
        page.keyboard.press("t")
        slide(page, 0, 100)
        assert slider(page, 0).input_value() == "400"


def test_the_list_is_sorted_by_severity_filtered_and_searched(page: Page, tmp_path: Path) -> None:
    files = write_many(tmp_path, 12)
    (tmp_path / "broken.png").write_bytes(b"no image")
    choose(page, *files, tmp_path / "broken.png")
    found = rows(page)
    assert found[0] == "strip-006.png, DEFECT, kind 1 78%"
    assert found[1].startswith("strip-010.png")
    assert found[-4] == "broken.png, REFUSED"
    assert [name.partition(",")[2] for name in found[-3:]] == [" OK"] * 3
    counts = dict(
        zip(
            ["all", "defect", "suspect", "not", "ok"],
            page.locator("#filters b").all_inner_texts(),
            strict=True,
        )
    )
    assert counts == {"all": "13", "defect": "9", "suspect": "0", "not": "1", "ok": "3"}
    page.locator("#filters").get_by_text("OK").click()
    assert len(rows(page)) == 3
    page.locator("#filters").get_by_text("All").click()
    page.locator("#search").fill("strip-00")
    assert len(rows(page)) == 10
    page.locator("#search").fill("refused")
    page.locator("#search").fill("nothing like it")
    expect(page.locator("#none")).to_be_visible()
    page.locator("#search").fill("")
    page.locator("#sort").select_option("name")
    assert [name.partition(",")[0] for name in rows(page)][:3] == [
        "broken.png",
        "strip-000.png",
        "strip-001.png",
    ]


def test_a_thumbnail_shows_the_mask_and_follows_the_thresholds(page: Page, strip: Path) -> None:
    choose(page, strip)
    coloured = """() => { const canvas = document.querySelector('.thumb');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let q = 0; q < data.length; q += 4) count += data[q] !== data[q + 2];
        return count; }"""
    masked = page.evaluate(coloured)
    assert masked > 0
    page.keyboard.press("t")
    slide(page, 1, 180)
    assert 0 < page.evaluate(coloured) < masked
    slide(page, 2, 6000)
    assert page.evaluate(coloured) == 0


def test_the_worst_of_many_stands_on_top_and_is_one_press_away(page: Page, tmp_path: Path) -> None:
    choose(page, *write_many(tmp_path, 40))
    expect(page.locator("#strip-name")).to_have_text("strip-000.png")  # the first new one
    assert page.locator("#list").evaluate("list => list.scrollTop") == 0
    page.locator("#filters").get_by_text("OK").click()
    page.get_by_role("button", name="Show the worst").click()
    expect(page.locator("#strip-name")).to_have_text("strip-020.png")


def test_strips_are_stepped_through_and_removed_by_keys(page: Page, tmp_path: Path) -> None:
    choose(page, *write_many(tmp_path, 6))
    page.keyboard.press("Home")
    name = page.locator("#strip-name")
    expect(name).to_have_text("strip-003.png")
    for key, expected in (
        ("j", "strip-005.png"),
        ("ArrowDown", "strip-004.png"),
        ("k", "strip-005.png"),
        ("ArrowUp", "strip-003.png"),
    ):
        page.keyboard.press(key)
        expect(name).to_have_text(re.compile(r"strip-\d+"))
        expect(name).to_have_text(expected)
    page.locator("#review").focus()
    page.keyboard.press("j")  # letters work wherever nothing is typed
    expect(name).to_have_text("strip-005.png")
    page.keyboard.press("k")
    page.locator("#list").focus()
    page.keyboard.press("Delete")
    expect(name).to_have_text("strip-005.png")
    assert len(rows(page)) == 5
    page.locator("#clear").click()
    expect(page.locator("#welcome")).to_be_visible()
    assert rows(page) == []


def test_new_strips_show_the_first_of_them(page: Page, strip: Path, tmp_path: Path) -> None:
    choose(page, strip)
    others = write_many(tmp_path, 3)
    choose(page, *others)
    expect(page.locator("#strip-name")).to_have_text("strip-000.png")


def test_a_refused_file_opens_with_its_reason_and_is_tried_again(page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    choose(page, tmp_path / "broken.png")
    assert verdict(page) == (
        "REFUSED: The file is not a picture that the service reads: JPEG, PNG, BMP, TIFF or WebP."
    )
    expect(page.locator("#detail")).to_contain_text("it may hold anything")
    with page.expect_request("**/predict*"):
        page.get_by_role("button", name="Try again").click()
    answered(page, 1)
    assert page.locator("#badge").inner_text().strip() == "REFUSED"


def test_a_strip_that_was_not_inspected_is_not_called_clean(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "dark.png").write_bytes(png(NO_STEEL))
    (tmp_path / "steel.png").write_bytes(png(STEEL))
    with (
        real_server(write_watchful_model(tmp_path / "tiny" / "1" / "model.onnx")) as server,
        operator_page(browser, server.url) as page,
    ):
        choose(page, tmp_path / "dark.png", tmp_path / "steel.png")
        assert verdict(page) == "NOT INSPECTED: The picture shows no steel. Look at the camera."
        expect(page.locator("#detail")).to_contain_text("share of black columns 1, expected at most 0.9")
        expect(page.locator("#classes")).to_be_hidden()
        expect(page.get_by_text("No defects are marked.")).to_be_hidden()  # nobody knows
        assert rows(page) == ["steel.png, DEFECT, kind 3 100%", "dark.png, NOT INSPECTED"]
        page.keyboard.press("Home")
        expect(page.locator("#classes")).to_be_visible()


def test_a_probability_in_the_review_band_makes_the_strip_suspect(browser: Browser, tmp_path: Path) -> None:
    metadata = graded_metadata(review_bands=[(0.3, 0.9)] * 4)
    (tmp_path / "strip.png").write_bytes(png(STRIP))
    with (
        real_server(write_graded_model(tmp_path / "tiny" / "1" / "model.onnx", metadata)) as server,
        operator_page(browser, server.url) as page,
    ):
        choose(page, tmp_path / "strip.png")
        assert verdict(page) == (
            "SUSPECT: kind 1 78%: from 30% to 90% the model cannot decide, look yourself"
        )


def test_the_verdicts_of_the_page_are_those_of_the_service(
    page: Page, server: Server, tmp_path: Path
) -> None:
    """The rule exists twice."""
    random = np.random.default_rng(0)
    files = []
    for number in range(12):
        strip = np.zeros_like(STRIP)
        for _ in range(int(random.integers(0, 4))):
            top, left = int(random.integers(0, 200)), int(random.integers(0, 1500))
            strip[top : top + int(random.integers(1, 50)), left : left + int(random.integers(1, 90))] = int(
                random.integers(60, 255)
            )
        files.append(tmp_path / f"{number:02d}.png")
        files[-1].write_bytes(png(strip))
    choose(page, *files)
    page.locator("#sort").select_option("name")
    point = {"class_threshold": 0.5, "threshold": round(170 / 255, 4) - 0.0001, "min_area": 800}
    page.keyboard.press("t")
    slide(page, 1, 170)
    slide(page, 2, 800)
    page.locator("#list").focus()
    shown = [name.split(", ")[1].lower() for name in rows(page)]
    expected = [
        httpx.post(f"{server.url}/predict", params=point, content=file.read_bytes()).json()["images"][0][
            "verdict"
        ]
        for file in files
    ]
    assert shown == expected
    assert len(set(expected)) == 3
    assert (STRIP > 100).sum() == LARGE + SMALL
