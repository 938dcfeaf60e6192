"""The picture on the page: pixels as the service decoded them, zoom, views, boxes, the table."""

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import choose, operator_page, slide
from tests.browser.strips import LARGE, SMALL, STRIP
from tests.support.images import encoded, exif, png
from tests.support.serving import real_server


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Page:
    """The page with ``STRIP``."""
    (tmp_path / "strip.png").write_bytes(png(STRIP))
    choose(page, tmp_path / "strip.png")
    return page


def canvas(page: Page, selector: str = "#picture") -> npt.NDArray[np.uint8]:
    """Return a canvas as drawn, uint8 ``[height, width, 3]``."""
    url = page.locator(selector).evaluate("canvas => canvas.toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))


def scale(page: Page) -> float:
    """Return how large a pixel of the frame is, in CSS pixels."""
    value: float = page.locator("#picture").evaluate(
        "canvas => canvas.getBoundingClientRect().width / canvas.width"
    )
    return value


def test_masks_are_drawn_in_their_colour_and_can_be_hidden(shown: Page) -> None:
    picture = canvas(shown)
    assert picture[5, 5].tolist() == [0, 0, 0]
    assert picture[35, 100].tolist() == [230, 159, 0]  # the outline
    red, green, blue = picture[35, 150].tolist()  # inside: tinted
    assert red > 200 > green > blue > 100
    shown.locator("#classes input").first.uncheck()
    assert canvas(shown)[35, 100].tolist() == [200, 200, 200]
    shown.locator("#classes input").first.check()
    shown.keyboard.down("h")
    assert canvas(shown)[35, 100].tolist() == [200, 200, 200]
    shown.keyboard.up("h")
    assert canvas(shown)[35, 100].tolist() == [230, 159, 0]
    hold = shown.get_by_role("button", name="Hold to hide masks").bounding_box()
    assert hold is not None
    shown.mouse.move(hold["x"] + 5, hold["y"] + 5)
    shown.mouse.down()
    assert canvas(shown)[35, 100].tolist() == [200, 200, 200]
    shown.mouse.up()
    assert canvas(shown)[35, 100].tolist() == [230, 159, 0]


def test_contrast_and_opacity_change_the_picture(shown: Page) -> None:
    before = canvas(shown)
    shown.get_by_role("button", name="Contrast \u00d7 1").click()
    expect(shown.get_by_role("button", name="Contrast \u00d7 1.5")).to_be_visible()
    shown.get_by_role("button", name="Masks 30%").click()
    inside = canvas(shown)[35, 150].astype(int)
    assert np.abs(inside - [230, 159, 0]).sum() < np.abs(before[35, 150].astype(int) - [230, 159, 0]).sum()


def test_the_raw_picture_stands_beside_the_masks(shown: Page) -> None:
    shown.get_by_role("button", name="Raw beside masks").click()
    np.testing.assert_array_equal(canvas(shown, ".raw canvas"), np.stack([STRIP] * 3, axis=2))
    boxes = [one.bounding_box() for one in shown.locator(".pane").all()]
    assert len(boxes) == 2
    assert all(box is not None and box["height"] > 50 for box in boxes)


def test_the_probability_map_has_a_scale_with_the_threshold(shown: Page) -> None:
    shown.get_by_role("button", name="Probability").click()
    picture = canvas(shown)
    assert picture[5, 5].tolist() == [0, 0, 0]
    assert picture[35, 150, 0] > picture[105, 710, 0] > 0
    expect(shown.locator("#scales .scale")).to_have_count(1)  # classes without any probability have none
    expect(shown.locator("#scales")).to_contain_text("marked from 50%")
    shown.keyboard.press("t")
    slide(shown, 1, 204)
    expect(shown.locator("#scales")).to_contain_text("marked from 80%")
    shown.get_by_role("button", name="Masks", exact=True).click()
    expect(shown.locator("#scales")).to_be_hidden()


def test_zoom_pan_and_one_to_one(shown: Page) -> None:
    fitted = scale(shown)
    stage = shown.locator("#stage").bounding_box()
    assert stage is not None
    assert fitted == pytest.approx(stage["width"] / 1600, abs=0.01)
    shown.keyboard.press("+")
    assert scale(shown) == pytest.approx(1.5 * fitted, rel=0.01)
    shown.keyboard.press("1")
    assert scale(shown) == pytest.approx(1, rel=0.01)
    left = "canvas => canvas.getBoundingClientRect().left"
    before = shown.locator("#picture").evaluate(left)
    shown.mouse.move(stage["x"] + 200, stage["y"] + 50)
    shown.mouse.down()
    shown.mouse.move(stage["x"] + 150, stage["y"] + 50)
    shown.mouse.up()
    assert shown.locator("#picture").evaluate(left) == pytest.approx(before - 50, abs=1)
    shown.mouse.wheel(0, -300)
    assert scale(shown) == pytest.approx(np.e, rel=0.02)
    shown.keyboard.press("0")
    assert scale(shown) == pytest.approx(fitted, rel=0.01)
    expect(shown.locator("#zoom")).to_have_text(f"{round(100 * fitted)} %")


def test_the_loupe_enlarges_what_is_under_the_pointer(shown: Page) -> None:
    shown.keyboard.press("l")
    stage = shown.locator("#stage").bounding_box()
    assert stage is not None
    shown.mouse.move(stage["x"] + 150 * scale(shown), stage["y"] + 35 * scale(shown))
    expect(shown.locator("#loupe")).to_be_visible()
    assert canvas(shown, "#loupe")[90, 90, 0] > 200
    expect(shown.locator("#readout")).to_have_text("kind 1 78%")
    shown.keyboard.press("l")
    expect(shown.locator("#loupe")).to_be_hidden()


def test_a_row_of_the_table_zooms_to_its_defect(shown: Page) -> None:
    cells = shown.locator("#defects tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert cells == [
        ["kind 1", "78%", "100 \u00d7 30 px", f"{LARGE:,} px", "100, 20 px"],
        ["kind 1", "59%", "20 \u00d7 10 px", f"{SMALL} px", "700, 100 px"],
    ]
    shown.get_by_role("button", name="kind 1, Zoom to defect 2").press("Enter")
    assert scale(shown) > 2
    middle = shown.evaluate(
        """() => { const picture = document.getElementById('picture').getBoundingClientRect();
            const pane = document.querySelector('.pane:not(.raw)').getBoundingClientRect();
            const scale = picture.width / 1600;
            const x = pane.left + pane.width / 2, y = pane.top + pane.height / 2;
            return [x - picture.left, y - picture.top].map(value => value / scale); }"""
    )
    assert middle == pytest.approx([710, 105], abs=15)
    assert canvas(shown, "#marks").max() > 0  # its box, though boxes are off


def test_boxes_have_names_and_sizes_in_millimetres_where_known(shown: Page) -> None:
    assert canvas(shown, "#marks").max() == 0
    shown.keyboard.press("b")
    assert canvas(shown, "#marks").max() > 0
    shown.get_by_role("button", name="Model, size of a pixel").click()
    shown.get_by_label("Width of a pixel in mm").fill("0.5")
    shown.get_by_label("Height of a pixel in mm").fill("0.4")
    shown.get_by_label("Height of a pixel in mm").press("Tab")
    shown.keyboard.press("Escape")
    first = shown.locator("#defects tbody tr").first
    expect(first).to_contain_text("50 \u00d7 12 mm")
    expect(first).to_contain_text("600 mm²")
    expect(shown.locator("#reasons")).to_contain_text("largest 600 mm²")


def check_picture(page: Page, file: Path) -> None:
    """Check that picture and masks are those of ``STRIP``."""
    choose(page, file)
    masks = canvas(page)
    np.testing.assert_array_equal(canvas(page, ".raw canvas"), np.stack([STRIP] * 3, axis=2))
    np.testing.assert_array_equal((masks != STRIP[:, :, None]).any(axis=2), STRIP > 100)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_picture_and_masks_coincide_whatever_the_orientation(page: Page, tmp_path: Path, kind: str) -> None:
    for turned in (1, 3, 6):
        file = tmp_path / f"{turned}.{kind.lower()}"
        lossless = {"lossless": True} if kind == "WEBP" else {}
        file.write_bytes(encoded(Image.fromarray(STRIP), kind, exif=exif(turned), **lossless))
        check_picture(page, file)


def test_picture_and_masks_of_a_jpeg_coincide(page: Page, tmp_path: Path) -> None:
    for turned in range(1, 9):
        file = tmp_path / f"{turned}.jpg"
        file.write_bytes(encoded(Image.fromarray(STRIP), "JPEG", quality=100, exif=exif(turned)))
        choose(page, file)
        drawn = canvas(page, ".raw canvas").astype(np.int16)
        assert np.abs(drawn - STRIP[:, :, None]).max() < 40
        assert canvas(page)[35, 100, 0] == 230
        assert drawn[35, 100, 0] > 150


def test_the_picture_of_a_camera_of_twelve_bits(browser: Browser, graded_model: Path, tmp_path: Path) -> None:
    values = np.rint(STRIP * (4095 / 255)).astype(np.uint16)
    file = tmp_path / "12.png"
    file.write_bytes(encoded(Image.fromarray(values), "PNG"))
    with real_server(graded_model, bits="12") as server, operator_page(browser, server.url) as page:
        check_picture(page, file)
