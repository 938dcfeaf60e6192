"""``check``: what is read, said and written."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.errors import DataError
from model_export.labels.check import CheckConfig, check
from service.masks import rle


def draw_image(path: Path, height: int = 64, width: int = 96, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 200, (height, width), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return three images: a.png with two classes, b.png with one, c.png clean."""
    folder = tmp_path / "data"
    for number, name in enumerate("abc"):
        draw_image(folder / "train_images" / f"{name}.png", seed=number)
    (folder / "train.csv").write_text(
        "ImageId,ClassId,EncodedPixels\na.png,1,65 3 129 3\na.png,7,1 2\nb.png,7,1 64\n"
    )
    (folder / "classes.json").write_text('[{"id": 1, "name": "rust"}, {"id": 7, "name": "dent"}]')
    return folder


def table(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


def test_the_layout_comes_back_as_it_went(data: Path, tmp_path: Path) -> None:
    check(CheckConfig(data, out=tmp_path / "out"))
    check(CheckConfig(tmp_path / "out", out=tmp_path / "again"))
    for name in ("train.csv", "classes.json", "groups.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert sorted(table(tmp_path / "out" / "train.csv")) == sorted(table(data / "train.csv"))
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == [
        {"id": 1, "name": "rust"},
        {"id": 7, "name": "dent"},
    ]
    assert {path.name for path in (tmp_path / "out" / "train_images").iterdir()} == {
        "a.png",
        "b.png",
        "c.png",
    }
    assert not list(tmp_path.glob(".*"))


def test_masks_of_values_and_sets_of_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    masks = np.zeros((64, 96), dtype=np.uint8)
    masks[:4, 10:12] = 1
    masks[60:, 90:] = 3
    for number, name in enumerate(("training/1", "training/2", "test/3")):
        draw_image(data / "images" / f"{name}.jpg", seed=number)
        path = data / "annotations" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(masks * (number != 1)).save(path)
    draw_image(data / "images" / "training" / "4.jpg", seed=9)  # nobody labelled it
    check(CheckConfig(data, class_names=("inclusion", "patches", "scratches"), out=tmp_path / "out"))
    assert table(tmp_path / "out" / "split.csv") == [
        ["3.jpg", "test"],
        ["1.jpg", "train"],
        ["2.jpg", "train"],
    ]
    codes = {(name, kind): code for name, kind, code in table(tmp_path / "out" / "train.csv")}
    assert codes.keys() == {("1.jpg", "1"), ("1.jpg", "3"), ("3.jpg", "1"), ("3.jpg", "3")}
    read = rle.decode(codes["1.jpg", "3"], height=64, width=96).T
    assert np.array_equal(read, masks == 3)
    page = capsys.readouterr().out
    assert "images       3, 1 of them clean" in page
    assert "1 image without a label, left out" in page
    assert "no image of the class patches: it cannot be learnt" in page
    assert "sets         test 1, train 2" in page


def test_a_folder_that_holds_something_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="out holds 1 file: expected another --out"):
        check(CheckConfig(data, out=tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]
