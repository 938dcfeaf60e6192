"""The page with models of other classes and frames of other sizes than Severstal's."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.masks.palette import COLOURS
from tests.browser.conftest import choose, operator_page, rows, slider, verdict
from tests.browser.test_page_picture import canvas
from tests.support.images import png
from tests.support.serving import real_server
from tests.support.seven_kinds import KINDS, seven_frame, write_seven_model
from tests.support.tiny_model import draw_blocks, numbered_kinds, write_tiny_model


def test_seven_classes_on_frames_of_several_tiles(browser: Browser, tmp_path: Path) -> None:
    frame = seven_frame({3: (200, 40, 50, 30), 1200: (20, 5, 10, 10)})
    (tmp_path / "frame.png").write_bytes(png(frame))
    with (
        real_server(write_seven_model(tmp_path / "mill" / "1" / "model.onnx")) as server,
        operator_page(browser, server.url) as page,
    ):
        assert page.locator("#kinds li").all_inner_texts() == [kind.name for kind in KINDS]
        expect(page.locator("#welcome-size")).to_contain_text("128 × 64 pixels and larger ones")  # noqa: RUF001
        choose(page, tmp_path / "frame.png")
        assert verdict(page) == "DEFECT: crack: 1 defect, 1,500 px, 100%: hole: 1 defect, 100 px, 100%"
        picture = canvas(page)
        assert picture.shape == (*frame.shape, 3)
        assert picture[40, 200].tolist() == list(COLOURS[1])
        assert picture[5, 20].tolist() == list(COLOURS[6])
        page.keyboard.press("t")
        expect(page.locator("#fields legend")).to_have_text([kind.name for kind in KINDS])
        page.locator("#export summary").click()
        with page.expect_download() as download:
            page.locator("[data-out=defects]").click()
        content = Path(download.value.path()).read_text("utf-8-sig")
        defects = list(csv.DictReader(io.StringIO(content)))
        assert [(one["class id"], one["class"]) for one in defects] == [("3", "crack"), ("1200", "hole")]


@pytest.mark.parametrize("count", [1, 32])
def test_one_class_and_thirty_two(browser: Browser, tmp_path: Path, count: int) -> None:
    values = [7 * number for number in range(1, count + 1)]
    model = write_tiny_model(
        tmp_path / "many" / "1" / "model.onnx", values=values, tile=(640, 640), kinds=numbered_kinds(count)
    )
    frame = draw_blocks((640, 640), [(values[-1], (100, 200, 40, 50))])
    (tmp_path / "frame.png").write_bytes(png(frame))
    with real_server(model) as server, operator_page(browser, server.url) as page:
        choose(page, tmp_path / "frame.png")
        assert rows(page) == [f"frame.png, DEFECT, kind {count} 100%"]
        np.testing.assert_array_equal(canvas(page)[200, 100], COLOURS[count - 1])
        page.keyboard.press("t")
        expect(slider(page, 2, count - 1)).to_be_visible()
        page.get_by_role("button", name="Raw beside masks").click()
        raw, masked = (one.bounding_box() for one in page.locator(".pane").all())
        assert raw is not None
        assert masked is not None
        assert raw["x"] + raw["width"] <= masked["x"]  # side by side: the frame is not wide
        page.locator("#export summary").click()
        with page.expect_download() as download:
            page.locator("[data-out=picture]").click()
        with Image.open(download.value.path()) as picture:
            assert picture.height > 640 + 24 * count


def test_the_colours_of_the_page_are_those_of_the_service(page: Page) -> None:
    colours = page.evaluate("() => import('/page/rules/colours.js').then(one => one.COLOURS)")
    assert [tuple(colour) for colour in colours] == list(COLOURS)


def test_a_frame_that_is_too_small_says_what_was_expected(page: Page, tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(png(np.zeros((100, 200), dtype=np.uint8)))
    choose(page, tmp_path / "small.png")
    assert verdict(page) == "REFUSED: The service cannot use this picture."
    expect(page.locator("#detail")).to_contain_text("expected an image of at least 1600x256 pixels")
