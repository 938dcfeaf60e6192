"""The operator's page with the classes of another mill, and with frames too large for probability maps."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from service.masks.palette import COLOURS
from tests.browser.conftest import choose, operator_page, slide, verdict
from tests.support.images import png
from tests.support.serving import Server, real_server
from tests.support.seven_kinds import KINDS, seven_frame, write_seven_model
from tests.support.tiny_model import Box, draw_blocks, numbered_kinds, write_tiny_model

pytestmark = pytest.mark.slow

WIDE = (1024, 8192)
"""Rows and columns of a frame whose maps of twelve classes are refused."""
VALUES = tuple(range(20, 20 + 12 * 15, 15))
LARGE: Box = (5000, 300, 200, 100)
SMALL: Box = (1020, 900, 40, 30)


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with real_server(write_seven_model(tmp_path_factory.mktemp("seven") / "1" / "model.onnx")) as server:
        yield server


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    model = tmp_path_factory.mktemp("twelve") / "1" / "model.onnx"
    with real_server(write_tiny_model(model, values=VALUES, tile=(512, 1024))) as server:
        yield server


def test_names_and_colours_are_those_of_the_model(browser: Browser, seven: Server, tmp_path: Path) -> None:
    frame = tmp_path / "frame.png"
    frame.write_bytes(png(seven_frame({7: (100, 60, 90, 30), 1200: (250, 0, 50, 30)})))
    with operator_page(browser, seven.url) as page:
        choose(page, frame)
        page.locator("#defects tbody tr").first.wait_for()
        assert page.locator("#classes b").all_inner_texts() == [one.name for one in KINDS]
        colours = page.locator("#classes label").evaluate_all(
            "labels => labels.map(one => getComputedStyle(one).getPropertyValue('--colour'))"
        )
        assert colours == [f"rgb({' '.join(map(str, colour))} / 1)" for colour in COLOURS[: len(KINDS)]]
        assert verdict(page) == (
            "DEFECT: edge <burr>: 1 defect, 2,700 px, 100%: hole: 1 defect, 1,500 px, 100%"
        )


def test_a_frame_too_large_for_maps_is_marked_by_the_service(
    browser: Browser, twelve: Server, tmp_path: Path
) -> None:
    frame = tmp_path / "wide.png"
    frame.write_bytes(png(draw_blocks(WIDE, [(VALUES[0], LARGE), (VALUES[11], SMALL)])))
    refused = httpx.post(
        f"{twelve.url}/predict", params={"maps": "true"}, content=frame.read_bytes(), timeout=60
    )
    assert refused.status_code == 413
    first, last = (one.name for one in (numbered_kinds(12)[0], numbered_kinds(12)[11]))
    with operator_page(browser, twelve.url, refusals=(413,)) as page:
        choose(page, frame)
        page.locator("#defects tbody tr").nth(1).wait_for()
        both = [f"{first}: 1 defect, 20,000 px, 100%", f"{last}: 1 defect, 1,200 px, 100%"]
        assert verdict(page) == ": ".join(["DEFECT", *both])
        assert "too large for the probability of each pixel" in page.locator("#detail").inner_text()
        page.locator("label:has(#tune)").click()
        slide(page, 2, 1250, 11)  # the smallest mark of the last class
        expect(page.locator("#defects tbody tr")).to_have_count(1, timeout=60_000)
        assert both[0] in verdict(page)
        assert both[1] not in verdict(page)
        page.locator("#profile-reset").click()
        expect(page.locator("#defects tbody tr")).to_have_count(2, timeout=60_000)
        assert verdict(page) == ": ".join(["DEFECT", *both])
