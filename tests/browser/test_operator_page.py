"""The page at / in a real browser, on a model whose map is the picture itself."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.geometry import HEIGHT, WIDTH
from service.masks import rle
from tests.browser.conftest import note_requests_elsewhere
from tests.support.health import NO_STEEL, STEEL, write_watchful_model
from tests.support.images import encoded, exif, png
from tests.support.serving import Server, real_server
from tests.support.tiny_model import contract_model, tiny_metadata, write_model

STRIP = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
STRIP[20:50, 100:200] = 200
STRIP[100:110, 700:720] = 150
LARGE, SMALL = 30 * 100, 10 * 20


def graded_graph() -> onnx.ModelProto:
    """Class 1's probability of a pixel is its brightness; the other classes are nowhere."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["columns", "axis"], ["first"]),
        helper.make_node("Sub", ["first", "first"], ["nothing"]),
        helper.make_node("Concat", ["first", *["nothing"] * 3], ["mask_probability"], axis=1),
        helper.make_node("Cast", ["mask_probability"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats", "pixels"], ["brightest"], keepdims=0),
        helper.make_node("Div", ["brightest", "full"], ["class_probability"]),
    ]
    return contract_model(
        nodes,
        axis=np.array([1], dtype=np.int64),
        pixels=np.array([2, 3], dtype=np.int64),
        full=np.array(255, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metadata = tiny_metadata()
    golden = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    golden[5:9, 3:6] = 255
    code = rle.encode(golden.T == 255)
    metadata = metadata.model_copy(
        update={
            "golden": metadata.golden.model_copy(
                update={
                    "strip_png": base64.b64encode(png(golden)).decode(),
                    "class_probability": (1.0, 0.0, 0.0, 0.0),
                    "rle": (code, "", "", ""),
                }
            )
        }
    )
    path = tmp_path_factory.mktemp("models") / "graded" / "1" / "model.onnx"
    return write_model(path, graded_graph(), metadata.model_dump_json())


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with real_server(model) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1300, "height": 1100})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    refusal = "Failed to load resource: the server responded with a status of 415"  # Chromium's note of it
    note_requests_elsewhere(page, server.url, problems)
    page.goto(server.url)
    page.get_by_text("tiny 1, CPUExecutionProvider").wait_for()
    yield page
    page.close()
    assert [problem for problem in problems if not problem.startswith(refusal)] == []


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    path = tmp_path / "strip.png"
    path.write_bytes(png(STRIP))
    return path


def choose(page: Page, *files: Path) -> None:
    page.locator("#files").set_input_files(list(files))
    page.locator("#verdict").filter(has_text=files[0].name).wait_for()


def slide(page: Page, kind: str, value: float) -> None:
    """Move a slider of class 1."""
    page.locator(f".class:first-child input.{kind}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def found(page: Page) -> str:
    return page.locator(".class:first-child .found").inner_text()


def test_a_strip_shows_its_mask_and_thresholds_move_it_at_once(page: Page, strip: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    choose(page, strip)
    assert page.locator("#verdict").inner_text() == f"strip.png: DEFECT: kind 1 78 %, {LARGE + SMALL:,} px"
    assert found(page) == f"78.4 %, {LARGE + SMALL} pixels"
    requests = len(asked)
    slide(page, "threshold", 0.8**0.5 * 0.9)  # squared: 0.648, between 150 and 200 of 255
    assert found(page) == f"78.4 %, {LARGE} pixels"
    slide(page, "area", 6000)
    assert found(page) == "78.4 %, not present"
    assert page.locator("#verdict").inner_text() == (
        "strip.png: SUSPECT: kind 1 78 %, but its mask has fewer than 6,000 px"
    )
    assert len(asked) == requests, "no new inference"
    page.get_by_role("button", name="thresholds of the profile").click()
    assert found(page) == f"78.4 %, {LARGE + SMALL} pixels"
    assert float(page.locator("#result").get_attribute("data-redraw") or "inf") > 0


def test_masks_are_drawn_in_their_colour_and_can_be_switched_off(page: Page, strip: Path) -> None:
    choose(page, strip)

    def pixel(x: int, y: int) -> list[int]:
        colour: list[int] = page.locator("#picture").evaluate(
            "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)",
            [x, y],
        )
        return colour

    assert pixel(5, 5) == [0, 0, 0]
    assert pixel(100, 35) == [230, 159, 0]  # the outline
    red, green, blue = pixel(150, 35)  # inside: tinted
    assert red > 200 > green > blue > 100
    page.locator(".class:first-child input[type=checkbox]").uncheck()
    assert pixel(100, 35) == [200, 200, 200]
    page.locator(".class:first-child input[type=checkbox]").check()
    page.locator("#view").select_option("map")
    assert pixel(5, 5) == [0, 0, 0]
    assert pixel(150, 35)[0] > pixel(710, 105)[0] > 0


def canvas(page: Page) -> npt.NDArray[np.uint8]:
    """Return the picture as drawn, uint8 ``[256, 1600, 3]``."""
    url = page.locator("#picture").evaluate("canvas => canvas.toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))


def check_picture(page: Page, file: Path) -> None:
    """Check that picture and masks are those of ``STRIP``."""
    page.locator("#files").set_input_files([file])
    page.locator("#verdict").filter(has_text=file.name).wait_for()
    masks = canvas(page)
    page.locator(".class:first-child input[type=checkbox]").uncheck()
    np.testing.assert_array_equal(canvas(page), np.stack([STRIP] * 3, axis=2))
    page.locator(".class:first-child input[type=checkbox]").check()
    np.testing.assert_array_equal((masks != STRIP[:, :, None]).any(axis=2), STRIP > 100)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_picture_and_masks_coincide_whatever_the_orientation(page: Page, tmp_path: Path, kind: str) -> None:
    for turned in range(1, 9):
        file = tmp_path / f"{turned}.{kind.lower()}"
        lossless = {"lossless": True} if kind == "WEBP" else {}
        file.write_bytes(encoded(Image.fromarray(STRIP), kind, exif=exif(turned), **lossless))
        check_picture(page, file)


def test_picture_and_masks_of_a_jpeg_coincide(page: Page, tmp_path: Path) -> None:
    for turned in range(1, 9):
        file = tmp_path / f"{turned}.jpg"
        file.write_bytes(encoded(Image.fromarray(STRIP), "JPEG", quality=100, exif=exif(turned)))
        choose(page, file)
        page.locator(".class:first-child input[type=checkbox]").uncheck()
        drawn = canvas(page).astype(np.int16)
        page.locator(".class:first-child input[type=checkbox]").check()
        assert np.abs(drawn - STRIP[:, :, None]).max() < 40
        (red, _, _), (grey, _, _) = canvas(page)[35, 100], drawn[35, 100]
        assert red == 230
        assert grey > 150


def test_the_picture_of_a_camera_of_twelve_bits(browser: Browser, model: Path, tmp_path: Path) -> None:
    values = np.rint(STRIP * (4095 / 255)).astype(np.uint16)
    file = tmp_path / "12.png"
    file.write_bytes(encoded(Image.fromarray(values), "PNG"))
    with real_server(model, bits="12") as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_text("tiny 1, CPUExecutionProvider").wait_for()
        check_picture(page, file)
        page.close()


def test_defects_are_listed_and_saved_as_the_service_writes_them(
    page: Page, server: Server, strip: Path
) -> None:
    choose(page, strip)
    page.locator("#boxes").check()
    expect(page.locator("#count")).to_have_text("2 connected defects")
    rows = page.locator("#instances tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert rows == [
        ["1 kind 1", "0.78", "100", "20", "100", "30", str(LARGE)],
        ["1 kind 1", "0.59", "700", "100", "20", "10", str(SMALL)],
    ]
    with page.expect_download() as download:
        page.get_by_role("button", name="save masks").click()
    saved = json.loads(Path(download.value.path()).read_text())
    code = saved["classes"][0]["rle"]
    np.testing.assert_array_equal(rle.decode(code, height=HEIGHT, width=WIDTH), STRIP.T > 100)
    with page.expect_download() as download:
        page.get_by_role("button", name="save picture").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.get_by_role("button", name="copy as curl").click()
    command = page.locator("#command").inner_text()
    assert command.startswith("curl -F 'file=@strip.png' '")
    assert f"{server.url}/predict?profile=inspection&threshold=0.5,0.5,0.5,0.5&min_area=1,1,1,1'" in command


def test_several_files_make_a_list_with_a_verdict_each(page: Page, strip: Path, tmp_path: Path) -> None:
    (tmp_path / "clean.png").write_bytes(png(np.zeros_like(STRIP)))
    (tmp_path / "broken.png").write_bytes(b"no image")
    choose(page, strip, tmp_path / "clean.png", tmp_path / "broken.png")
    lines = page.locator("#list button")
    expect(lines.nth(0)).to_contain_text("kind 1 78 %")
    expect(lines.nth(1)).to_contain_text("OK")
    expect(lines.nth(2)).to_contain_text("Unsupported media type")
    expect(page.locator("#message")).to_contain_text("broken.png: Unsupported media type")
    lines.nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#verdict").inner_text() == "clean.png: OK"
    assert lines.nth(1).get_attribute("aria-current") == "true"


def test_a_strip_that_was_not_inspected_is_not_called_clean(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "dark.png").write_bytes(png(NO_STEEL))
    (tmp_path / "steel.png").write_bytes(png(STEEL))
    with real_server(write_watchful_model(tmp_path / "tiny" / "1" / "model.onnx")) as server:
        page = browser.new_page()
        page.goto(server.url)
        choose(page, tmp_path / "dark.png", tmp_path / "steel.png")
        reason = "NOT INSPECTED: no steel in the picture: share of black columns 1, expected at most 0.9"
        expect(page.locator("#verdict")).to_have_text(f"dark.png: {reason}")
        expect(page.locator("#classes")).to_be_hidden()
        lines = page.locator("#list button")
        expect(lines.nth(0)).to_contain_text(reason)
        expect(lines.nth(1)).to_contain_text("DEFECT: kind 3 100 %, 76,800 px")
        lines.nth(1).click()
        expect(page.locator("#classes")).to_be_visible()
        page.close()


def test_a_strip_can_be_dropped(page: Page, strip: Path) -> None:
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        base64.b64encode(strip.read_bytes()).decode(),
    )
    page.locator("#verdict").filter(has_text="dropped.png: DEFECT: kind 1").wait_for()


def test_the_page_is_small(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    page.goto(server.url)
    page.get_by_text("tiny 1, CPUExecutionProvider").wait_for()
    page.get_by_role("link", name="API").wait_for()  # its response is the last
    page.close()
    assert len(sizes) >= 5
    assert sum(sizes.values()) <= 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(
    browser: Browser, server: Server, strip: Path, theme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=theme)
    page.goto(server.url)
    choose(page, strip)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_a_key_is_asked_for_where_one_is_wanted(browser: Browser, tiny_model: Path, tmp_path: Path) -> None:
    with real_server(tiny_model, api_key="sesame") as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_text("API key missing or wrong").wait_for()
        page.get_by_label("API key").fill("sesame")
        page.get_by_label("API key").press("Tab")
        page.get_by_text("tiny 1, CPUExecutionProvider").wait_for()
        page.get_by_role("button", name="take an example").click()
        page.locator("#verdict").filter(has_text="example.png").wait_for()
        page.close()


def test_it_does_not_point_to_an_api_page_that_is_off(browser: Browser, tiny_model: Path) -> None:
    with real_server(tiny_model, docs="off") as server:
        page = browser.new_page()
        with page.expect_response(f"{server.url}/docs") as docs:
            page.goto(server.url)
        page.get_by_text("tiny 1, CPUExecutionProvider").wait_for()
        assert docs.value.status == 404
        expect(page.get_by_role("link", name="API")).to_be_hidden()
        page.close()
