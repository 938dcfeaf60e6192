"""What comes to the page: dropped files, folders and archives; the empty page and its examples."""

import base64
import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import answered, choose, operator_page, rows, verdict
from tests.browser.strips import STRIP
from tests.support.images import png
from tests.support.serving import ROOT, Server, real_server

EXAMPLES = ROOT / "service" / "page" / "static" / "examples"


def archive_of(files: dict[str, bytes], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_strip_can_be_dropped(page: Page) -> None:
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        base64.b64encode(png(STRIP)).decode(),
    )
    answered(page, 1)
    assert rows(page) == ["dropped.png, DEFECT, kind 1 78%"]


def test_a_folder_gives_its_pictures_and_says_what_it_left_out(page: Page, tmp_path: Path) -> None:
    (tmp_path / "coil" / "deep").mkdir(parents=True)
    for path in ("a.png", "deep/b.png"):
        (tmp_path / "coil" / path).write_bytes(png(STRIP))
    (tmp_path / "coil" / "notes.txt").write_text("not a picture")
    page.locator("#folder").set_input_files(tmp_path / "coil")
    answered(page, 2)
    assert {name.partition(",")[0] for name in rows(page)} == {"coil/a.png", "coil/deep/b.png"}
    expect(page.locator("#note")).to_have_text("1 file that is no picture was left out.")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_gives_its_pictures(page: Page, tmp_path: Path, compression: int) -> None:
    files = {"x/a.png": png(STRIP), "b.png": png(STRIP), "__MACOSX/._b.png": b"", "read.me": b"text"}
    (tmp_path / "strips.zip").write_bytes(archive_of(files, compression))
    page.locator("#files").set_input_files(tmp_path / "strips.zip")
    answered(page, 2)
    assert rows(page) == ["b.png, DEFECT, kind 1 78%", "x/a.png, DEFECT, kind 1 78%"]
    expect(page.locator("#note")).to_have_text("2 files that are no pictures were left out.")


def test_an_archive_that_cannot_be_read_says_so(page: Page, tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(archive_of({"a.png": png(STRIP)}, zipfile.ZIP_STORED)[:-30])
    choose(page, tmp_path / "cut.zip")
    assert verdict(page) == (
        "REFUSED: The archive cannot be read: it is damaged, encrypted or larger than 4 GB."
    )


def test_the_empty_page_explains_the_classes_and_offers_drawn_examples(page: Page, server: Server) -> None:
    expect(page.locator("#kinds li")).to_have_count(4)
    expect(page.locator("#kinds")).to_contain_text("kind 1")
    # The examples show Severstal's classes, which this model does not have.
    expect(page.locator("#examples-part")).to_be_hidden()
    expect(page.locator("#kinds img")).to_have_count(0)


def test_the_examples_say_that_they_are_drawn(browser: Browser) -> None:
    with (
        real_server(ROOT / "models" / "steel-unet-resnet18-fast") as server,
        operator_page(browser, server.url) as page,
    ):
        expect(page.locator("#kinds img")).to_have_count(4)
        for image in page.locator("#kinds img").all():
            image.evaluate("image => image.decode()")
        expect(page.locator("#examples-part")).to_contain_text("drawn, not photographed")
        page.get_by_role("button", name="Try it on 8 drawn strips").click()
        answered(page, 8)
        found = rows(page)
        assert all(name.startswith("drawn-") for name in found)
        assert "drawn-out-of-focus.jpg, NOT INSPECTED" in found
        assert sum("DEFECT" in name for name in found) >= 4
    assert len(list(EXAMPLES.glob("drawn-*.jpg"))) == 8
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 500_000
