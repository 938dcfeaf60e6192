"""``check``: what is read, said and written."""

import json
import os
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.kaggle import read_kaggle
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


def coco(folder: Path, stems: str, path: str = "coco.json") -> None:
    document = {
        "images": [{"id": ord(stem), "file_name": f"{stem}.png"} for stem in stems],
        "annotations": [
            {"id": ord(stem), "image_id": ord(stem), "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}
            for stem in stems
        ],
        "categories": [{"id": 1, "name": "rust"}],
    }
    (folder / path).write_text(json.dumps(document))


def test_labels_of_several_formats_are_not_mixed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco(data, "ab")
    with pytest.raises(DataError, match=r"holds labels of several formats: kaggle .*; coco"):
        check(CheckConfig(data))
    check(CheckConfig(data, format="coco"))
    assert "COCO's JSON coco.json" in capsys.readouterr().out
    (data / "coco.json").rename(tmp_path / "elsewhere.json")
    check(CheckConfig(data, labels=tmp_path / "elsewhere.json"))
    assert "images       2, 0 of them clean" in capsys.readouterr().out


def test_two_files_of_a_format_are_not_guessed_between(data: Path) -> None:
    (data / "train.csv").rename(data / "november.csv")
    shutil.copy(data / "november.csv", data / "december.csv")
    with pytest.raises(DataError, match="holds 2 files of labels"):
        check(CheckConfig(data))
    check(CheckConfig(data, labels=data / "december.csv"))


def test_equal_names_in_the_folders_of_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(("train", "valid")):
        draw_image(tmp_path / "data" / place / "a.png", seed=number)
        coco(tmp_path / "data", "a", f"{place}/_annotations.coco.json")
    check(CheckConfig(tmp_path / "data", out=tmp_path / "out"))
    assert table(tmp_path / "out" / "split.csv") == [["train_a.png", "train"], ["valid_a.png", "validation"]]
    assert len(table(tmp_path / "out" / "train.csv")) == 2


@pytest.mark.parametrize("images", [2, 40_000])
def test_a_large_file_is_recognised_without_being_parsed(
    data: Path, capsys: pytest.CaptureFixture[str], images: int
) -> None:
    """What tells the format may be anywhere in it."""
    (data / "train.csv").unlink()
    coco(data, "ab")
    document = json.loads((data / "coco.json").read_text())
    document["images"] += [
        {"id": 1000 + number, "file_name": f"../elsewhere/{number}.png"} for number in range(images)
    ]
    (data / "coco.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"{images} images or labels cannot be used"):
        check(CheckConfig(data))
    check(CheckConfig(data, skip_bad=True))
    assert "COCO's JSON coco.json" in capsys.readouterr().out


@pytest.mark.slow
def test_neu_seg_by_check_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = Path(os.environ.get("STEEL_TEST_DATA", "nowhere")) / "neu-seg.tar"
    if not archive.is_file():
        pytest.skip("STEEL_TEST_DATA holds no neu-seg.tar")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    names = ("inclusion", "patches", "scratches")
    check(CheckConfig(tmp_path / "NEU_Seg", class_names=names, out=tmp_path / "out"))
    assert "sets         test 840, train 3630" in capsys.readouterr().out
    assert [one["name"] for one in json.loads((tmp_path / "out" / "classes.json").read_text())] == list(names)
    rows = table(tmp_path / "out" / "train.csv")
    assert Counter(kind for _, kind, _ in rows) == {"1": 1824, "2": 1808, "3": 1782}
    for name, kind, code in rows[::500]:
        # 300 numbers are in both sets: these have their folders in front.
        (mask,) = (
            path
            for path in (tmp_path / "NEU_Seg" / "annotations").glob(f"*/{Path(name).stem[-6:]}.png")
            if f"_{path.parent.name}_" in name or len(name) == len("000001.jpg")
        )
        with Image.open(mask) as image:
            wanted = np.asarray(image) == int(kind)
        assert np.array_equal(rle.decode(code, height=200, width=200).T, wanted)


def test_kaggles_strips_come_out_as_they_are(
    severstal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(CheckConfig(severstal, out=tmp_path / "out"))
    assert "46 images without a label, left out" in capsys.readouterr().out
    assert [(strip.name, strip.rles) for strip in read_kaggle(tmp_path / "out")] == [
        (strip.name, strip.rles) for strip in read_kaggle(severstal)
    ]
