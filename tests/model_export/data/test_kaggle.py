"""Kaggle's layout: labels and images."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.kaggle import KaggleStrip, read_kaggle, read_labels
from model_export.data.label_table import join_codes
from model_export.errors import DataError
from service.masks import rle
from tests.model_export.labels.variants.images import huge_header, long_text
from tests.support.kaggle_folder import NEW, write_kaggle_folder

OLD = "ImageId_ClassId,EncodedPixels\na.png_1,1 3\na.png_2,\na.png_3,257 2\na.png_4,\n" + "".join(
    f"b.png_{k},\n" for k in (1, 2, 3, 4)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_kaggle_folder(tmp_path)


@pytest.mark.parametrize("form", [NEW, OLD], ids=["new form", "old form"])
def test_both_forms_of_the_labels(folder: Path, form: str) -> None:
    (folder / "train.csv").write_text(form)
    a, b = read_kaggle(folder)
    assert (a.name, sorted(a.classes)) == ("a.png", [0, 2])
    assert (b.name, sorted(b.classes)) == ("b.png", [])
    image, masks = a.load()
    assert image[0, 0] == 10
    assert masks.shape == (4, 256, 1600)
    assert np.argwhere(masks[0]).tolist() == [[0, 0], [1, 0], [2, 0]]
    assert np.argwhere(masks[2]).tolist() == [[0, 1], [1, 1]]
    assert not b.load()[1].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "got 'a', 'b'"),
        ("ImageId,ClassId,EncodedPixels\na.png,5,1 3\n", "line 2: expected a class 1 to 4, got '5'"),
        (
            "ImageId_ClassId,EncodedPixels\na.png,1 3\n",
            "line 2: expected an image and a class, as a.jpg_1, got 'a.png'",
        ),
    ],
)
def test_labels_that_cannot_be_understood(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        read_labels(tmp_path / "train.csv")


def test_bad_images_are_named_all_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "train.csv").write_text(NEW + "missing.png,2,1 1\ncode.png,3,409600 9\n")
    Image.fromarray(np.zeros((256, 1600), dtype=np.uint8)).save(folder / "train_images" / "code.png")
    Image.fromarray(np.zeros((100, 200), dtype=np.uint8)).save(folder / "train_images" / "small.png")
    (folder / "train_images" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError) as error:
        read_kaggle(folder)
    for part in (
        "5 images",
        "code.png: the mask of class 3 is invalid: expected runs of a 1600x256 image within",
        "missing.png: named in train.csv, but not in train_images/",
        "broken.jpg: expected an image of type JPEG",
    ):
        assert part in str(error.value)
    # b.png and small.png have no row: either may be the image of the row of missing.png.
    assert [strip.name for strip in read_kaggle(folder, skip_bad=True)] == ["a.png"]
    assert "left out 5 images" in capsys.readouterr().out


def test_a_folder_of_another_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not in Kaggle's layout: expected train\.csv and train_images/"):
        read_kaggle(tmp_path)
    (tmp_path / "train_images").mkdir()
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n")
    with pytest.raises(DataError, match="no usable image"):
        read_kaggle(tmp_path)


def test_an_image_that_breaks_later_is_named(folder: Path) -> None:
    strip = read_kaggle(folder)[0]
    data = strip.path.read_bytes()
    strip.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=re.escape(str(strip.path))):
        strip.load()


def test_kaggle_strips_know_their_classes_without_opening_anything() -> None:
    strip = KaggleStrip(Path("/nowhere/a.png"), ("", rle.encode(np.ones((2, 2), dtype=np.bool_)), "", ""))
    assert strip.classes == {1}


def test_no_defective_strip_becomes_clean_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 defective strips whose rows have other names: --skip-bad trained all of them as clean."""
    (tmp_path / "train_images").mkdir()
    rows = ["ImageId,ClassId,EncodedPixels"]
    for number in range(30):
        pixels = np.full((32, 64), number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "train_images" / f"{number:03d}.png")
        rows.append(f"strip-{number}.png,3,1 40")
    (tmp_path / "train.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"60 images of .* cannot be used"):
        read_kaggle(tmp_path)
    with pytest.raises(DataError, match="holds no usable image"):
        read_kaggle(tmp_path, skip_bad=True)
    assert "without a row, so it may be the image of a row that lacks its own" in capsys.readouterr().out


def test_names_are_found_however_they_are_written(folder: Path) -> None:
    (folder / "train.csv").write_bytes("\ufeffimageid;classid;encodedpixels\r\nA.PNG;1.0;1 3\r\n".encode())
    a, b = read_kaggle(folder)
    assert (a.rles, b.rles) == (("1 3", "", "", ""), ("",) * 4)
    (folder / "train_images" / "._a.png").write_bytes(b"Mac OS X")
    assert [strip.name for strip in read_kaggle(folder)] == ["a.png", "b.png"]


def test_a_row_per_instance_is_one_mask(folder: Path) -> None:
    (folder / "train.csv").write_text(NEW + "a.png,1,9 9\na.png,1,2 4\na.png,1,nan\n")
    assert read_kaggle(folder)[0].rles == ("1 5 9 9", "", "257 2", "")


@pytest.mark.parametrize("damage", ["truncated", "huge", "long"])
def test_a_damaged_image_is_named_before_work_begins(folder: Path, damage: str) -> None:
    path = folder / "train_images" / "b.png"
    if damage == "truncated":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 1600), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:9000])
    else:
        {"huge": huge_header, "long": long_text}[damage](path)
    with pytest.raises(DataError, match=r"1 image of .* cannot be used[^\n]*\n  b\.png: "):
        read_kaggle(folder)
    assert [strip.name for strip in read_kaggle(folder, skip_bad=True)] == ["a.png"]


@pytest.mark.parametrize(
    ("codes", "joined"),
    [
        ([], ""),
        (["", "1 3"], "1 3"),
        (["1 3", "1 3"], "1 3"),
        (["9 2", "1 3"], "1 3 9 2"),
        (["1 3", "4 2"], "1 5"),
        (["1 9", "3 2", "20 1"], "1 9 20 1"),
        (["1 3", "9 3 1 2"], "9 3 1 2"),
        (["1 3", "five"], "five"),
        (["1 3", "5"], "5"),
        (["1 3", "0 2"], "0 2"),
        (["1 3", "5 0"], "5 0"),
    ],
)
def test_codes_join_and_invalid_ones_stay(codes: list[str], joined: str) -> None:
    assert join_codes(codes) == joined
