"""The layout that training reads appears whole or not at all."""

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from model_export.data.severstal import CLASSES
from model_export.errors import DataError
from model_export.labels.layout import LayoutImage, flat_names, write_layout


@pytest.fixture
def images(tmp_path: Path) -> Mapping[str, LayoutImage]:
    (tmp_path / "source").mkdir()
    for name in "ab":
        (tmp_path / "source" / name).write_text(name)
    return {f"{name}.png": LayoutImage(tmp_path / "source" / name, {1: "1 2"}, "coil") for name in "ab"}


def test_files_are_linked_and_not_copied(images: Mapping[str, LayoutImage], tmp_path: Path) -> None:
    write_layout(images, CLASSES, tmp_path / "out")
    assert (tmp_path / "out" / "train_images" / "a.png").samefile(tmp_path / "source" / "a")
    assert not (tmp_path / "out" / "split.csv").exists()


def test_files_are_copied_where_links_cannot_be(
    images: Mapping[str, LayoutImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    write_layout(images, CLASSES, tmp_path / "out")
    assert (tmp_path / "out" / "train_images" / "a.png").read_text() == "a"
    assert not (tmp_path / "out" / "train_images" / "a.png").samefile(tmp_path / "source" / "a")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_after_an_end_in_the_middle(
    images: Mapping[str, LayoutImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    link = os.link

    def fail(source: Path, target: Path) -> None:
        if target.name == "b.png":
            raise error
        link(source, target)

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(type(error)) as caught:
        write_layout(images, CLASSES, tmp_path / "out")
    if isinstance(caught.value, OSError):
        assert caught.value.filename == str(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_empty_folder_is_filled(images: Mapping[str, LayoutImage], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_layout(images, CLASSES, tmp_path / "out")
    assert (tmp_path / "out" / "train.csv").read_text().splitlines()[1:] == ["a.png,1,1 2", "b.png,1,1 2"]


def test_names_are_without_folders() -> None:
    assert flat_names(["1/a.png", "2/a.png", "2/b.png"]) == {
        "1/a.png": "1_a.png",
        "2/a.png": "2_a.png",
        "2/b.png": "b.png",
    }
    with pytest.raises(DataError, match=r"two images would both be called 1_a\.png"):
        flat_names(["1/a.png", "2/a.png", "1_a.png"])
