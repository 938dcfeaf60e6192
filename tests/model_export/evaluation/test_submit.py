"""Kaggle's table for a folder of strips."""

import csv
import os
from pathlib import Path

from model_export.evaluation.submit import SubmitConfig, submit
from tests.support.images import png
from tests.support.tiny_model import block_rle, block_strip


def test_names_of_every_byte(tiny_model: Path, tmp_path: Path) -> None:
    names = [os.fsdecode(b"a" + bytes([byte]) + b".png") for byte in range(1, 256) if byte not in b"/"]
    images = tmp_path / "images"
    images.mkdir()
    strip = png(block_strip(c3=(100, 20, 5, 30)))
    for name in names:
        (images / name).write_bytes(strip)
    submit(SubmitConfig(images, tmp_path / "submission.csv", tiny_model, "inspection"))
    with (tmp_path / "submission.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    escaped = {name.encode("utf-8", "backslashreplace").decode() for name in names}
    assert {row["ImageId"] for row in rows} == escaped
    assert len(rows) == 4 * len(names)
    assert {row["EncodedPixels"] for row in rows if row["ClassId"] == "3"} == {block_rle(100, 20, 5, 30)}
