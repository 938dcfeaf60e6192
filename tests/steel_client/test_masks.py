"""Masks in every format that the service writes, read by the client."""

import base64
import io
from pathlib import Path
from typing import get_args

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from service.app import create_app
from service.masks import formats
from service.masks.formats import MaskFormat
from service.masks.regions import outline
from service.settings import Settings
from steel_client import AsyncSteelClient, MaskError, SteelError, masks, png
from steel_client.masks import ClassBits
from tests.support.images import png as png_file
from tests.support.serving import running_app
from tests.support.seven_kinds import FRAME, KINDS, seven_frame, write_seven_model
from tests.support.tiny_model import TILE, Box, block_strip, draw_blocks, write_tiny_model

FORMATS = get_args(MaskFormat)
HEIGHT, WIDTH = TILE
SIZE = {"height": HEIGHT, "width": WIDTH}
MANY = 12


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


@examples(max_examples=10)
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
        np.testing.assert_array_equal(ClassBits(picture, **SIZE).mask(bit), expected.T)


BLOCKS: dict[int, Box] = {2: (0, 0, 40, 50), 10: (250, 60, 50, 36), 1200: (100, 20, 90, 30)}


def settings_of(model: Path) -> Settings:
    return Settings(model=model, device="cpu", batch_timeout_ms=0)


@pytest.mark.anyio
@pytest.mark.parametrize("mask_format", [one for one in FORMATS if one != "none"])
async def test_masks_of_a_frame_have_its_size_and_their_class(tmp_path: Path, mask_format: str) -> None:
    """Seven classes whose ids are no positions, on a frame of several tiles."""
    app = create_app(settings_of(write_seven_model(tmp_path / "1" / "model.onnx")))
    transport, query = httpx.ASGITransport(app), {"mask_format": mask_format}
    async with running_app(app), AsyncSteelClient("http://x", transport=transport, query=query) as client:
        image = await client.predict(png_file(seven_frame(BLOCKS)))
        model = await client.model()
    assert (image.result.height, image.result.width) == FRAME
    assert image.result.tiles == 6
    assert [(one.id, one.name) for one in model.classes] == [(one.id, one.name) for one in KINDS]
    assert [(one.result.class_id, one.result.name) for one in image.classes] == [
        (one.id, one.name) for one in KINDS
    ]
    for found in image.classes:
        expected = np.zeros(FRAME, dtype=np.bool_)
        if found.result.class_id in BLOCKS:
            left, top, width, height = BLOCKS[found.result.class_id]
            expected[top : top + height, left : left + width] = True
        np.testing.assert_array_equal(found.mask, expected)


@pytest.mark.anyio
async def test_more_than_eight_classes_are_bits_of_16(tmp_path: Path) -> None:
    values = tuple(range(20, 20 + 19 * MANY, 19))
    model = write_tiny_model(tmp_path / "1" / "model.onnx", values=values, tile=(32, 64))
    app = create_app(settings_of(model))
    boxes = [(5 * number, number, 4, 20) for number in range(MANY)]
    strip = png_file(draw_blocks((32, 64), zip(values, boxes, strict=True)))
    transport, query = httpx.ASGITransport(app), {"mask_format": "png"}
    async with running_app(app), AsyncSteelClient("http://x", transport=transport, query=query) as client:
        image = await client.predict(strip)
    for found, (left, top, width, height) in zip(image.classes, boxes, strict=True):
        expected = np.zeros((32, 64), dtype=np.bool_)
        expected[top : top + height, left : left + width] = True
        np.testing.assert_array_equal(found.mask, expected)


def test_a_class_without_a_bit_is_an_error() -> None:
    eight = ClassBits(formats.png([None] * 8, (3, 2)), height=2, width=3)
    assert not eight.mask(7).any()
    with pytest.raises(MaskError, match="expected at most 8 classes in a PNG of 8 bits"):
        eight.mask(8)


@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 1), (7, 5), (40, 30)]),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_every_filter_of_a_png_is_read(seed: int, size: tuple[int, int], kind: type[np.integer]) -> None:
    """Ramps with noise, which Pillow writes with filters of every kind."""
    random = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(size[0]) * 3, np.arange(size[1]) * 5) + random.integers(0, 4, size)
    noise = random.integers(0, np.iinfo(kind).max + 1, size)
    grey = np.where(random.random((size[0], 1)) < 0.5, ramp, noise).astype(kind)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    read = png.decode_grey(buffer.getvalue(), height=size[0], width=size[1])
    np.testing.assert_array_equal(read, grey)
    assert read.dtype == kind


def coloured() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "text", ["", "%", "AAAA", base64.b64encode(b"\x89PNG\r\n\x1a\n\0").decode(), coloured()]
)
def test_what_is_no_png_of_masks_is_an_error(text: str) -> None:
    with pytest.raises(SteelError, match="PNG"):
        ClassBits(text, **SIZE).mask(0)


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
