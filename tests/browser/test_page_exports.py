"""What leaves the page: pictures, JSON, tables, an archive, paper, and a profile."""

import csv
import io
import json
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from service.masks import rle
from tests.browser.conftest import choose, slide
from tests.browser.strips import HEIGHT, LARGE, SMALL, STRIP, WIDTH
from tests.support.images import png
from tests.support.serving import real_server


@pytest.fixture
def filled(page: Page, tmp_path: Path) -> Page:
    """The page with a defective strip, a clean one and a refused file; the defective one is shown."""
    (tmp_path / "=strip.png").write_bytes(png(STRIP))
    (tmp_path / "clean.png").write_bytes(png(np.zeros_like(STRIP)))
    (tmp_path / "broken.png").write_bytes(b"no image")
    choose(page, tmp_path / "=strip.png", tmp_path / "clean.png", tmp_path / "broken.png")
    return page


def export(page: Page, name: str) -> bytes:
    """Press an entry of the export menu and return the file."""
    page.locator("#export summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return Path(download.value.path()).read_bytes()


def table(content: bytes) -> list[dict[str, str]]:
    """Read a table as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_the_annotated_picture_has_a_legend_below_and_a_verdict_above(filled: Page) -> None:
    picture = Image.open(io.BytesIO(export(filled, "Picture with masks"))).convert("RGB")
    pixels = np.asarray(picture)
    assert picture.width == WIDTH + 32
    assert picture.height > HEIGHT + 150
    orange = (pixels == [230, 159, 0]).all(axis=2)
    rows = np.flatnonzero(orange.any(axis=1))
    assert rows[-1] > HEIGHT + 80  # the legend
    top = next(row for row in rows if orange[row].sum() > 50)
    assert (pixels[:top, :, 0] == 179).any()  # the verdict in its red


def test_the_document_of_a_strip_repeats_the_answer(filled: Page) -> None:
    filled.keyboard.press("t")
    slide(filled, 1, 100)
    saved = json.loads(export(filled, "This strip"))
    assert saved["filename"] == "=strip.png"
    assert saved["verdict"] == "defect"
    assert saved["model"]["name"] == "tiny"
    assert len(saved["model"]["sha256"]) == len(saved["sha256"]) == 64
    assert saved["profile"]["name"] == "inspection"
    assert saved["profile"]["changed"] is True
    assert saved["profile"]["threshold"][0] == pytest.approx(100 / 255, abs=1e-4)
    assert [one["area"] for one in saved["defects"]] == [LARGE, SMALL]
    mask = rle.decode(saved["classes"][0]["rle"], height=HEIGHT, width=WIDTH)
    np.testing.assert_array_equal(mask, STRIP.T > 100)


def test_the_list_of_all_strips_is_a_table_worst_first(filled: Page) -> None:
    strips = table(export(filled, "List of all strips"))
    assert [row["file"] for row in strips] == ["'=strip.png", "broken.png", "clean.png"]  # no formula
    assert [row["verdict"] for row in strips] == ["defect", "refused", "ok"]
    assert strips[0]["decided by"] == "kind 1"
    assert strips[0]["kind 1 px"] == str(LARGE + SMALL)
    assert strips[1]["decided by"].startswith("The file is not a picture")
    assert strips[2]["model"] == "tiny"
    assert len(strips[2]["sha256"]) == 64


def test_the_list_of_all_defects_has_their_boxes(filled: Page) -> None:
    defects = table(export(filled, "List of all defects"))
    assert [(row["class"], row["left px"], row["top px"], row["area px"]) for row in defects] == [
        ("kind 1", "100", "20", str(LARGE)),
        ("kind 1", "700", "100", str(SMALL)),
    ]


def test_the_archive_has_every_picture_and_the_list(filled: Page) -> None:
    with zipfile.ZipFile(io.BytesIO(export(filled, "All pictures"))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["=strip-defects.jpg", "clean-defects.jpg", "strips.csv"]
        assert len(table(archive.read("strips.csv"))) == 3
        with Image.open(io.BytesIO(archive.read("clean-defects.jpg"))) as picture:
            assert picture.width == WIDTH + 32


def test_a_strip_that_was_refused_has_no_picture_to_export(filled: Page) -> None:
    filled.keyboard.press("j")
    expect(filled.locator("#badge")).to_have_text("REFUSED")
    filled.locator("#export summary").click()
    expect(filled.get_by_role("button", name="Picture with masks")).to_be_disabled()
    expect(filled.get_by_role("button", name="List of all strips")).to_be_enabled()


def test_paper_has_verdict_picture_legend_and_facts_but_no_tools(filled: Page) -> None:
    filled.emulate_media(media="print")
    for selector in ("#verdict h2", "#picture", "#classes", "#defects table", "#facts-printed", "#list"):
        expect(filled.locator(selector)).to_be_visible()
    for selector in ("#tools", "header", "#search", "#remove"):
        expect(filled.locator(selector)).to_be_hidden()
    expect(filled.locator("#facts-printed")).to_contain_text("tiny 1, profile inspection")
    assert filled.pdf().startswith(b"%PDF")


def test_thresholds_are_saved_as_a_profile_that_the_service_reads(
    filled: Page, graded_model: Path, tmp_path: Path
) -> None:
    filled.keyboard.press("t")
    slide(filled, 1, 100)
    filled.get_by_label("Name of the new profile").fill("my-line")
    with filled.expect_download() as download:
        filled.get_by_role("button", name="Save as profile").click()
    assert download.value.suggested_filename == "my-line.profile.json"
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["name"] == "my-line"
    assert saved["based_on"] == "inspection"
    assert saved["threshold"] == [pytest.approx(100 / 255, abs=1e-4), 0.5, 0.5, 0.5]
    assert saved["min_area"] == [1, 1, 1, 1]
    assert [one["id"] for one in saved["classes"]] == [1, 2, 3, 4]
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    with real_server(graded_model, profile=file) as server:
        answer = httpx.post(f"{server.url}/predict", content=png(STRIP)).json()
    assert answer["profile"]["name"] == "my-line"
    assert answer["profile"]["threshold"] == saved["threshold"]
