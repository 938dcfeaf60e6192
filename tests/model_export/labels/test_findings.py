"""What ``check`` says of images, masks and classes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.errors import DataError
from model_export.labels.check import CheckConfig, check
from service.masks import rle
from tests.model_export.labels.variants.scene import box_mask, code, picture, write_classes

HEADER = "ImageId,ClassId,EncodedPixels\n"
BOX = code(box_mask((10, 8, 40, 20)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder for images, without any."""
    folder = tmp_path / "data"
    (folder / "train_images").mkdir(parents=True)
    write_classes(folder)
    (folder / "train.csv").write_text(HEADER)
    return folder


def add(folder: Path, name: str, image: Image.Image, *rows: str) -> None:
    image.save(folder / "train_images" / name)
    with (folder / "train.csv").open("a") as file:
        file.writelines(f"{name},{row}\n" for row in rows)


def page_of(folder: Path, capsys: pytest.CaptureFixture[str], **options: object) -> str:
    check(CheckConfig(folder, **options))  # type: ignore[arg-type]
    return capsys.readouterr().out


def changed(image: Image.Image, change: object) -> Image.Image:
    pixels = np.array(image)
    change(pixels)  # type: ignore[operator]
    return Image.fromarray(pixels)


def black_left(pixels: np.ndarray) -> None:
    pixels[:, :24] = 0


def test_black_borders_and_dark_images(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(data, "border.png", changed(picture(1), black_left), f"1,{BOX}")
    add(data, "dark.png", Image.fromarray(np.array(picture(2)) // 40))
    add(data, "flat.png", Image.new("L", (96, 64), 90))
    page = page_of(data, capsys)
    assert (
        "2 images with a black border, of 62% on average and 100% at most\n      train_images/border.png"
        in page
    )
    assert "1 image too dark or too bright to show steel\n      train_images/dark.png" in page
    assert "1 image one grey value everywhere\n      train_images/flat.png" in page


def test_copies_and_near_duplicates(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(6):
        add(data, f"{number}.png", picture(number))
    add(data, "copy.png", picture(1), f"1,{BOX}")
    add(data, "near.png", changed(picture(2), lambda pixels: np.add(pixels, 3, out=pixels)))
    (data / "split.csv").write_text(
        "ImageId,Set\n" + "".join(f"{name}.png,train\n" for name in ("1", "2", "3")) + "near.png,test\n"
    )
    page = page_of(data, capsys, out=tmp_path / "out")
    assert "2 images are 1 by their pixels: copies" in page
    assert "2 of these copies have other labels than their twins" in page
    assert "2 images in 1 group of near-duplicates" in page
    assert "2 near-duplicates are in several of training, validation and test" in page
    assert "images in no set, which therefore train: 4" in page
    with (tmp_path / "out" / "groups.csv").open() as file:
        groups = {row["ImageId"]: row["Group"] for row in csv.DictReader(file)}
    assert groups["1.png"] == groups["copy.png"]
    assert groups["2.png"].removesuffix("-train") == groups["near.png"].removesuffix("-test")
    assert len(set(groups.values())) == 7


@pytest.mark.parametrize("rows", [1, 5])
def test_the_order_of_pixels_is_told_by_the_looks(
    data: Path, capsys: pytest.CaptureFixture[str], rows: int
) -> None:
    """One mask in the other order than the many is said; which order is meant is decided by the many."""
    for number in range(6):
        mask = box_mask((10 + number, 8, 40, 20 + number))
        add(data, f"{number}.png", picture(number), f"1,{rle.encode(mask if number < rows else mask.T)}")
    if rows == 1:
        page = page_of(data, capsys)
        assert (
            "1 image whose mask looks as if its pixels were numbered along rows\n      train_images/0.png"
            in page
        )
        return
    with pytest.raises(DataError, match="look as if their pixels were numbered along rows"):
        check(CheckConfig(data))
    page_of(data, capsys, order="columns")
    page_of(data, capsys, order="rows")


def test_empty_and_whole_masks(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(data, "whole.png", picture(1), f"1,{code(np.ones((64, 96), dtype=np.bool_))}")
    assert "1 image with a mask over nearly the whole image" in page_of(data, capsys)


def test_what_classes_lack(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(data, "a.png", picture(1), f"1,{BOX}")
    page = page_of(data, capsys)
    assert "a single image: nothing is left to validate or to test on" in page
    assert "no clean image: false alarms can be neither learnt from nor measured" in page
    assert "no image of the class dent: it cannot be learnt" in page
    assert "fewer than 20 images of the class rust (1)" in page
    add(data, "b.png", picture(2))
    (data / "train.csv").write_text(HEADER)
    page = page_of(data, capsys)
    assert "only clean images: there is no defect to learn" in page
    assert "cannot be learnt" not in page


def test_every_finding_is_in_the_table(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        add(data, f"{number}.png", changed(picture(number), black_left), f"1,{BOX}")
    page = page_of(data, capsys, findings=tmp_path / "findings.csv")
    assert "and 5 more" in page
    with (tmp_path / "findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    bordered = [row["ImageId"] for row in rows if "black border" in row["Finding"]]
    assert bordered == [f"train_images/{number}.png" for number in range(9)]


def test_previews_show_masks(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(data, "a.png", picture(1), f"1,{BOX}")
    for number in range(5):
        add(data, f"{number}.png", picture(10 + number))
    page = page_of(data, capsys, previews=tmp_path / "previews", preview_count=2)
    assert f"wrote 2 pictures into {tmp_path / 'previews'}" in page
    pictures = sorted(path.name for path in (tmp_path / "previews").iterdir())
    assert "train_images_a.png.png" in pictures
    with Image.open(tmp_path / "previews" / "train_images_a.png.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    coloured = np.abs(pixels - pixels.mean(axis=2, keepdims=True)).max(axis=2) > 15
    assert coloured[8:20, 10:40].mean() > 0.95
    assert coloured[:64].sum() < 1.05 * 12 * 30


def test_black_borders_make_no_duplicates(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        add(data, f"{number}.png", changed(picture(number), black_left))
    assert "near-duplicates" not in page_of(data, capsys)
    add(data, "8.png", changed(Image.fromarray(np.array(picture(3)) + np.uint8(9)), black_left))
    page = page_of(data, capsys)
    assert "2 images in 1 group of near-duplicates\n" in page
    assert "train_images/3.png\n      train_images/8.png" in page
