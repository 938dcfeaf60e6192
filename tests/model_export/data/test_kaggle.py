"""Kaggle's layout, crops, sampling."""

import collections
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_export.data.dataset import BalancedSampler, SampleIndex, StripDataset, crop_columns
from model_export.data.kaggle import KaggleStrip, read_kaggle, read_labels
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError
from service.masks import rle

NEW = "ImageId,ClassId,EncodedPixels\na.png,1,1 3\na.png,3,257 2\n"
OLD = "ImageId_ClassId,EncodedPixels\na.png_1,1 3\na.png_2,\na.png_3,257 2\na.png_4,\n" + "".join(
    f"b.png_{k},\n" for k in (1, 2, 3, 4)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two strips in Kaggle's layout: a.png with two classes, b.png clean."""
    images = tmp_path / "train_images"
    images.mkdir()
    for name, value in (("a.png", 10), ("b.png", 20)):
        Image.fromarray(np.full((256, 1600), value, dtype=np.uint8)).save(images / name)
    (tmp_path / "train.csv").write_text(NEW)
    return tmp_path


@pytest.mark.parametrize("form", [NEW, OLD], ids=["new form", "old form"])
def test_both_forms_of_the_labels(folder: Path, form: str) -> None:
    (folder / "train.csv").write_text(form)
    a, b = read_kaggle(folder)
    assert (a.name, sorted(a.classes)) == ("a.png", [1, 3])
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
        ("a,b\n1,2\n", "got ['a', 'b']"),
        ("ImageId,ClassId,EncodedPixels\na.png,5,1 3\n", "line 2: expected a class 1 to 4, got '5'"),
        ("ImageId_ClassId,EncodedPixels\na.png,1 3\n", "line 2: expected a class 1 to 4, got 'a.png'"),
        (NEW + "a.png,1,9 9\n", "line 4: a.png has a second mask of class 1"),
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
        "4 images",
        "code.png: the mask of class 3 is invalid: runs of a 1600x256 image lie within",
        "missing.png: named in train.csv, but not in train_images/",
        "small.png: expected 1600x256 pixels, got 200x100",
        "broken.jpg: not readable as an image",
    ):
        assert part in str(error.value)
    assert [strip.name for strip in read_kaggle(folder, skip_bad=True)] == ["a.png", "b.png"]
    assert "left out 4 images" in capsys.readouterr().out


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


def test_the_data_set_opens_an_image_only_when_asked(folder: Path) -> None:
    dataset = StripDataset(read_kaggle(folder))
    (folder / "train_images" / "b.png").unlink()
    image, masks = dataset[0]
    assert (image.shape, image.dtype) == ((1, 256, 1600), torch.uint8)
    assert (masks.shape, masks.dtype) == ((4, 256, 1600), torch.uint8)
    with pytest.raises(DataError):
        dataset[1]


def test_crops_show_the_class_that_was_asked_for() -> None:
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[1, 10:20, 1590:] = True
    torch.manual_seed(0)
    for _ in range(50):
        columns = crop_columns(masks, 256, 2)
        assert columns.stop - columns.start == 256
        assert columns.start >= 0
        assert columns.stop <= 1600
        assert masks[1, :, columns].any()
    anywhere = {crop_columns(masks, 256, 0).start for _ in range(50)}
    assert len(anywhere) > 20
    assert crop_columns(masks, 256, 3).start >= 0  # a class that is not there


def test_a_crop_without_focus_avoids_defects() -> None:
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[1, 10, 400:1300] = True
    for seed in range(50):
        torch.manual_seed(seed)
        columns = crop_columns(masks, 288, 0)
        assert columns.stop <= 400 or columns.start >= 1300
        assert columns.stop - columns.start == 288
        assert crop_columns(masks, 512, 0).start >= 0  # there is no room: anywhere
    assert crop_columns(masks, 1600, 0) == slice(0, 1600)


def test_sampling_is_balanced_and_reproducible() -> None:
    strips = [KaggleStrip(Path(f"{i}.png"), ("1 1", "", "", "")) for i in range(95)]
    strips += [KaggleStrip(Path(f"c{i}.png"), ("", "", "", "")) for i in range(5)]
    everything: list[LabelledStrip] = [*strips, *drawn_strips(20, seed=0)]
    groups = [(range(100), 0.75), (range(100, 120), 0.25)]
    sampler = BalancedSampler(everything, 4000, groups, seed=1)
    picks = list(sampler)
    assert len(sampler) == len(picks) == 4000
    clean = sum(95 <= pick.strip < 100 for pick in picks)
    drawn = sum(pick.strip >= 100 for pick in picks)
    assert abs(drawn / 4000 - 0.25) < 0.03
    assert abs(clean / 4000 - 0.75 / 2) < 0.03
    focus = collections.Counter(pick.focus for pick in picks if pick.strip >= 100)
    assert set(focus) == {0, 1, 2, 3, 4}
    assert min(focus.values()) > 150
    assert list(sampler) == picks
    sampler.set_epoch(1)
    assert list(sampler) != picks


def test_nothing_to_draw_from() -> None:
    with pytest.raises(DataError, match="no strips to draw from"):
        BalancedSampler(drawn_strips(0, seed=0), 10, [([], 1.0)], seed=0)


def test_a_pick_crops_around_its_class() -> None:
    strips = drawn_strips(5, seed=3)
    dataset = StripDataset(strips, crop_width=128)
    image, masks = dataset[SampleIndex(4, 4)]
    assert image.shape == (1, 256, 128)
    assert len(dataset) == 5
    assert masks[3].any()


def test_kaggle_strips_know_their_classes_without_opening_anything() -> None:
    strip = KaggleStrip(Path("/nowhere/a.png"), ("", rle.encode(np.ones((2, 2), dtype=np.bool_)), "", ""))
    assert strip.classes == {2}
