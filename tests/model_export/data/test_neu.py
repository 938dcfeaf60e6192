"""Strips tiled from NEU images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.kaggle import read_kaggle
from model_export.data.neu import TileConfig, tile_neu
from model_export.errors import DataError


def test_neu_images_become_strips(tmp_path: Path) -> None:
    for kind in ("images", "annotations"):
        (tmp_path / kind / "training").mkdir(parents=True)
    for number in range(16):
        pixels = np.full((200, 200), 10 * number, dtype=np.uint8)
        mask = np.zeros((200, 200), dtype=np.uint8)
        mask[190:, :50] = number % 4
        Image.fromarray(pixels).save(tmp_path / "images" / "training" / f"{number:02}.jpg")
        Image.fromarray(mask).save(tmp_path / "annotations" / "training" / f"{number:02}.png")
    tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))
    even, odd = read_kaggle(tmp_path / "out")
    assert even.classes == {3}
    assert odd.classes == {0, 2}
    image, masks = odd.load()
    assert abs(int(image[100, 300]) - 30) <= 2
    np.testing.assert_array_equal(np.flatnonzero(masks[0].any(axis=0))[:50], np.arange(50))
    assert masks[0].any(axis=1).nonzero()[0].tolist() == list(range(190, 210))  # mirrored at row 200
    (tmp_path / "annotations" / "training" / "03.png").unlink()
    with pytest.raises(DataError, match="got 16 images, 1 of them without a mask"):
        tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))
    Image.fromarray(np.zeros((10, 20), dtype=np.uint8)).save(tmp_path / "annotations" / "training" / "03.png")
    with pytest.raises(DataError, match="expected 200x200 pixels, got 20x10"):
        tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))
