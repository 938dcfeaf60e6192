"""Masks in every format that the service writes, read by the client."""

import base64
import io
from typing import get_args

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.geometry import HEIGHT, WIDTH
from service.masks import formats
from service.masks.formats import MaskFormat
from service.masks.regions import outline
from steel_client import AsyncSteelClient, MaskError, SteelError, masks, png
from tests.support.images import png as png_file
from tests.support.serving import running_app
from tests.support.tiny_model import block_strip

FORMATS = get_args(MaskFormat)
SIZE = {"height": HEIGHT, "width": WIDTH}


@pytest.mark.anyio
@pytest.mark.parametrize("mask_format", FORMATS)
async def test_a_mask_is_decoded_or_refused(app: FastAPI, mask_format: str) -> None:
    transport, query = httpx.ASGITransport(app), {"mask_format": mask_format}
    strip = png_file(block_strip(c3=(100, 20, 5, 30), c1=(0, 0, 40, 50)))
    async with running_app(app), AsyncSteelClient("http://x", transport=transport, query=query) as client:
        image = await client.predict(strip)
    for found in image.present:
        if mask_format == "none":
            with pytest.raises(MaskError, match="an answer without masks") as refused:
                _ = found.mask
            assert not refused.value.transient
        else:
            assert found.mask.shape == (HEIGHT, WIDTH)
            assert found.mask.sum() == found.result.area > 0
            corner = {1: (0, 0), 3: (20, 100)}[found.result.class_id]
            assert tuple(np.argwhere(found.mask)[0]) == corner
    assert not image.classes[1].mask.any()


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(5, 60))
def test_random_masks_come_back(seed: int, density: float, grain: int) -> None:
    random = np.random.default_rng(seed)
    coarse = random.random((WIDTH // grain + 1, HEIGHT // grain + 1)) < density
    mask = np.kron(coarse, np.ones((grain, grain), dtype=bool))[:WIDTH, :HEIGHT]
    coco, plain = formats.coco_rle(mask), formats.uncompressed_coco_rle(mask)
    np.testing.assert_array_equal(masks.decode_coco(coco["counts"], **SIZE), mask.T)
    np.testing.assert_array_equal(masks.decode_coco(plain["counts"], **SIZE), mask.T)
    np.testing.assert_array_equal(masks.decode_polygons(outline(mask)["coordinates"], **SIZE), mask.T)
    picture = formats.png([None, mask, ~mask], mask.shape)
    for bit, expected in enumerate((np.zeros_like(mask), mask, ~mask)):
        np.testing.assert_array_equal(masks.decode_bit(picture, bit, **SIZE), expected.T)


@given(st.integers(0, 2**32), st.sampled_from([(1, 1), (7, 5), (40, 30)]))
def test_every_filter_of_a_png_is_read(seed: int, size: tuple[int, int]) -> None:
    """Ramps with noise, which Pillow writes with filters of every kind."""
    random = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(size[0]) * 3, np.arange(size[1]) * 5) + random.integers(0, 4, size)
    grey = np.where(random.random((size[0], 1)) < 0.5, ramp, random.integers(0, 256, size)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    read = png.decode_grey(buffer.getvalue(), height=size[0], width=size[1])
    np.testing.assert_array_equal(read, grey)


def coloured() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "text", ["", "%", "AAAA", base64.b64encode(b"\x89PNG\r\n\x1a\n\0").decode(), coloured()]
)
def test_what_is_no_png_of_masks_is_an_error(text: str) -> None:
    with pytest.raises(SteelError, match="PNG"):
        masks.decode_bit(text, 0, **SIZE)


@pytest.mark.parametrize("counts", ["", "0", "~~~~", [5], [-1, HEIGHT * WIDTH + 1], [HEIGHT * WIDTH, 1]])
def test_a_broken_code_is_an_error(counts: str | list[int]) -> None:
    with pytest.raises(SteelError, match="expected runs of 409600 pixels"):
        masks.decode_coco(counts, **SIZE)


@pytest.mark.parametrize(
    "ring", [[(0, 0), (5, 5)], [(0, 0), (0, HEIGHT + 1)], [(0, 0), (0, 1), (-1, 1)], [(WIDTH + 1, 0), (0, 0)]]
)
def test_a_ring_off_the_edges_of_pixels_is_an_error(ring: list[tuple[int, int]]) -> None:
    with pytest.raises(SteelError, match="expected rings along the edges"):
        masks.decode_polygons([[[*ring, (0, 0)]]], **SIZE)
