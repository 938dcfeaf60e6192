"""Data sets of drawn strips on disk."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError
from service.masks import rle


def test_drawn_defects_take_the_shapes_of_real_ones(tmp_path: Path) -> None:
    lines = ["ImageId,ClassId,EncodedPixels"]
    codes = {}
    for number in range(12):
        mask = np.zeros((1600, 256), dtype=np.bool_)
        mask[100 + number : 180 + number, 20:60] = True
        codes[number] = rle.encode(mask)
        lines.append(f"{number}.jpg,{number % 4 + 1},{codes[number]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    draw(DrawConfig(out=tmp_path / "shaped", count=10, seed=1, shapes=tmp_path / "labels.csv"))
    strips = read_kaggle(tmp_path / "shaped")
    assert len(strips) == 10
    assert sum(not strip.classes for strip in strips) == 2
    for strip in strips:
        number = int(strip.name.removesuffix(".png").rsplit("-", 1)[1])
        for position in strip.classes:
            assert position == number % 4
            assert strip.rles[position] == codes[number]
    with pytest.raises(DataError, match="has masks of 12 strips, fewer than --count 13"):
        draw(DrawConfig(out=tmp_path / "more", count=13, shapes=tmp_path / "labels.csv"))
    with pytest.raises(DataError, match="no label file"):
        draw(DrawConfig(out=tmp_path / "more", shapes=tmp_path / "none.csv"))
