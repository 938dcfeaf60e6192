"""The picture of a strip with its masks."""

import io

import numpy as np
from PIL import Image

from service.masks.overlay import Layer, draw_overlay
from service.masks.palette import COLOURS
from service.model.metadata import MAX_CLASSES


def test_an_overlay_tints_and_outlines_each_mask() -> None:
    strip = np.full((256, 1600), 100, dtype=np.uint8)
    mask = np.zeros((1600, 256), dtype=np.bool_)
    mask[200:260, 100:150] = True
    picture = np.asarray(Image.open(io.BytesIO(draw_overlay(strip, [Layer(2, "3 scratch 97%", mask)]))))
    assert picture.shape == (284, 1600, 3)
    assert picture[10, 10].tolist() == [100, 100, 100]
    assert picture[100, 200].tolist() == list(COLOURS[2])
    assert picture[125, 230].tolist() == [int(0.7 * 100 + 0.3 * c) for c in COLOURS[2]]
    assert picture[263 + 7, 15].tolist() == list(COLOURS[2])


def test_a_frame_is_coloured_as_its_parts_are() -> None:
    """Large frames are coloured some rows at a time."""
    random = np.random.default_rng(0)
    strip = random.integers(0, 256, (700, 320), dtype=np.uint8)
    mask = np.kron(random.random((32, 70)) < 0.5, np.ones((10, 10), dtype=bool))
    picture = np.asarray(Image.open(io.BytesIO(draw_overlay(strip, [Layer(4, "5 dent", mask)]))))[:700]
    padded = np.pad(mask.T, 2, constant_values=True)
    inner = padded[2:-2, 2:-2].copy()
    for step in (-2, -1, 1, 2):
        inner &= np.roll(padded, step, axis=0)[2:-2, 2:-2] & np.roll(padded, step, axis=1)[2:-2, 2:-2]
    colour, grey = np.array(COLOURS[4], dtype=np.float32), strip[..., np.newaxis].astype(np.float32)
    expected = np.where(mask.T[..., np.newaxis], 0.7 * grey + 0.3 * colour, grey)
    expected[mask.T & ~inner] = colour
    np.testing.assert_allclose(picture, expected.astype(np.uint8), atol=1)


def test_text_grows_with_a_wide_frame_and_wraps_below_a_narrow_one() -> None:
    layers = [Layer(number, f"{number + 1} a long name 97%", None) for number in range(6)]

    def legend(width: int) -> int:
        picture = Image.open(io.BytesIO(draw_overlay(np.zeros((64, width), np.uint8), layers, "OK: " * 20)))
        assert picture.width == width
        return picture.height - 64

    assert legend(1600) == 2 * 28
    assert legend(4800) == 3 * legend(1600)
    assert legend(200) > 6 * 28


def test_every_class_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == MAX_CLASSES
