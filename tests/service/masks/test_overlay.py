"""The picture of a strip with its masks."""

import io

import numpy as np
from PIL import Image

from service.masks.overlay import Layer, draw_overlay
from service.masks.palette import COLOURS


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
