"""The image that a label file means."""

import os
from pathlib import Path

import pytest

from model_export.data.image_index import ImageIndex, walk_files
from model_export.errors import DataError

INDEX = ImageIndex(["coil 1/a.png", "coil 2/a.png", "coil 2/b.png", "Ä.PNG", "x-1.tif", "c.jpg", "c.png"])


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("coil 1/a.png", "coil 1/a.png"),
        ("/home/li/coil 2/a.png", "coil 2/a.png"),
        ("D:\\coil 2\\A.png", "coil 2/a.png"),
        ("b.png", "coil 2/b.png"),
        ("other/b.png", "coil 2/b.png"),
        ("./b", "coil 2/b.png"),
        ("a\u0308.png", "Ä.PNG"),
        (os.fsdecode("ä.png".encode("cp1252")), "Ä.PNG"),
        ("  x-1.png ", "x-1.tif"),
        ("0a1b2c3d-x-1.tif", "x-1.tif"),
        ("c.png", "c.png"),
    ],
)
def test_a_name_finds_its_image(name: str, image: str) -> None:
    assert INDEX.find(name) == image


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", "got 2: coil 1/a.png, coil 2/a.png"),
        ("c.bmp", "got 2: c.jpg, c.png"),
        ("bb.png", "no image of this name"),
        ("x-12.tif", "no image of this name"),
        ("1.tif", "no image of this name"),
        ("", "no image of this name"),
    ],
)
def test_a_name_that_fits_none_or_several(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        INDEX.find(name)


def test_files_of_macos_and_loops_of_links_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    for name in ("a.png", "._a.png", ".DS_Store", "in/b.png", "__MACOSX/c.png"):
        (tmp_path / name).touch()
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    assert walk_files(tmp_path) == ["a.png", "in/b.png"]


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk_files(tmp_path / "nowhere")
