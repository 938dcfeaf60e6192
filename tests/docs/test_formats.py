"""The snippets of docs/formats.md, run on a real answer."""

import json
import re
import shutil
import subprocess
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.images import png
from tests.support.serving import ROOT
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs" / "formats.md").read_text()
EXPECTED = np.zeros((256, 1600), dtype=bool)
EXPECTED[20:50, 100:105] = True
EXPECTED[30:35, 102:104] = False
STRIP = block_strip(c3=(100, 20, 5, 30))
STRIP[30:35, 102:104] = 0


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


async def image_of(client: httpx.AsyncClient, mask_format: str) -> dict[str, Any]:
    response = await client.post("/predict", params={"mask_format": mask_format}, content=png(STRIP))
    image: dict[str, Any] = response.json()["images"][0]
    return image


async def test_python(client: httpx.AsyncClient) -> None:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)

    async def third(mask_format: str) -> dict[str, Any]:
        found: dict[str, Any] = (await image_of(client, mask_format))["classes"][2]
        return found

    masks = [
        names["from_rle"]((await third("rle"))["rle"]),
        names["from_coco_rle"]((await third("coco_rle"))["coco_rle"]),
        names["from_coco_rle"]((await third("coco_rle_uncompressed"))["coco_rle"]),
        names["from_polygon"]((await third("polygon"))["polygon"]),
        names["from_png"]((await image_of(client, "png"))["png"], 2),
    ]
    for mask in masks:
        np.testing.assert_array_equal(mask, EXPECTED)


def printed_by(node: str, program: str) -> str:
    return subprocess.run(
        [node, "-e", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout


async def test_javascript(client: httpx.AsyncClient) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    codes = [
        (await image_of(client, "rle"))["classes"][2]["rle"],
        (await image_of(client, "coco_rle_uncompressed"))["classes"][2]["coco_rle"],
    ]
    program = snippet("javascript") + (
        f"const [rle, coco] = {json.dumps(codes)};"
        "const pixels = mask => [...mask.keys()].filter(p => mask[p]);"
        "console.log(JSON.stringify([pixels(fromRle(rle)), pixels(fromCocoCounts(coco))]));"
    )
    for pixels in json.loads(printed_by(node, program)):
        assert pixels == np.flatnonzero(EXPECTED).tolist()
