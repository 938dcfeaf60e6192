"""The tile of a network, and images cut into it."""

import re

import numpy as np
import pytest

from model_export.data.tile import Tile, choose_tile, cut_frame, pad_planes
from model_export.errors import DataError
from service.model.tiles import mirror


@pytest.mark.parametrize(
    ("shapes", "wanted", "expected"),
    [
        ([(256, 1600)] * 3, None, Tile(256, 1600)),
        ([(200, 200)], None, Tile(224, 224, pad=True)),
        ([(512, 2048)], None, Tile(512, 2048)),  # exactly as many pixels as are taken unasked
        ([(1024, 4096), (512, 2048)], (256, 512), Tile(256, 512)),
        ([(1024, 4096), (200, 2048)], (256, 512), Tile(256, 512, pad=True)),
    ],
)
def test_the_tile_is_the_images_own_or_the_one_that_is_named(
    shapes: list[tuple[int, int]], wanted: tuple[int, int] | None, expected: Tile
) -> None:
    assert choose_tile(shapes, wanted) == expected


def test_images_that_need_a_tile_named_say_so() -> None:
    with pytest.raises(DataError, match=re.escape("(2 of 1600x256, 1 of 200x100): name the size")):
        choose_tile([(256, 1600), (100, 200), (256, 1600)], None)
    many = [(100 + number, 200) for number in range(6)]
    with pytest.raises(DataError, match="and 2 other sizes"):
        choose_tile(many, None)
    with pytest.raises(DataError, match=r"4096x1024 pixels are too large .*, e\.g\. --tile 512 1024"):
        choose_tile([(1024, 4096)], None)


def test_tiles_and_their_masks_show_the_same_pixels() -> None:
    image = np.arange(100 * 150, dtype=np.int64).reshape(100, 150).astype(np.uint8)
    frame = cut_frame(image, Tile(64, 64))
    assert frame.plan.count == len(frame.tiles) > 4
    for tile, planes in zip(frame.tiles, frame.cut(image[None]), strict=True):
        np.testing.assert_array_equal(tile, planes[0])


def test_a_smaller_image_is_mirrored_as_the_service_mirrors_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 40)).astype(np.uint8)
    frame = cut_frame(image, Tile(64, 64, pad=True))
    assert frame.shape == (50, 40)
    (tile,) = frame.tiles
    np.testing.assert_array_equal(tile, mirror(image, 64, 64))
    np.testing.assert_array_equal(pad_planes(image[None], 64, 64)[0], tile)
    with pytest.raises(DataError, match=r"a\.png: expected at least 64x64 pixels, a tile, got 40x50"):
        cut_frame(image, Tile(64, 64), "a.png")
