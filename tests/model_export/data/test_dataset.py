"""The data set of training samples: crops, sampling."""

import collections
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.data.dataset import (
    BalancedSampler,
    SampleIndex,
    StripDataset,
    choose_window,
    crop_columns,
)
from model_export.data.drawn_mill import MillStrip
from model_export.data.kaggle import KaggleStrip, read_kaggle
from model_export.data.labelled_strip import CLEAN, LabelledStrip
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError
from tests.support.kaggle_folder import write_kaggle_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_kaggle_folder(tmp_path)


def test_the_data_set_opens_an_image_only_when_asked(folder: Path) -> None:
    dataset = StripDataset(read_kaggle(folder))
    (folder / "train_images" / "b.png").unlink()
    image, masks, *_ = dataset[0]
    assert (image.shape, image.dtype) == ((1, 256, 1600), torch.uint8)
    assert (masks.shape, masks.dtype) == ((4, 256, 1600), torch.uint8)
    with pytest.raises(DataError):
        dataset[1]


def test_crops_show_the_class_that_was_asked_for() -> None:
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[1, 10:20, 1590:] = True
    torch.manual_seed(0)
    for _ in range(50):
        columns = crop_columns(masks, 256, 1)
        assert columns.stop - columns.start == 256
        assert columns.start >= 0
        assert columns.stop <= 1600
        assert masks[1, :, columns].any()
    anywhere = {crop_columns(masks, 256, CLEAN).start for _ in range(50)}
    assert len(anywhere) > 20
    assert crop_columns(masks, 256, 2).start >= 0  # a class that is not there


def test_a_crop_without_focus_avoids_defects() -> None:
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[1, 10, 400:1300] = True
    for seed in range(50):
        torch.manual_seed(seed)
        columns = crop_columns(masks, 288, CLEAN)
        assert columns.stop <= 400 or columns.start >= 1300
        assert columns.stop - columns.start == 288
        assert crop_columns(masks, 512, CLEAN).start >= 0  # there is no room: anywhere
    assert crop_columns(masks, 1600, CLEAN) == slice(0, 1600)


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
    assert set(focus) == {CLEAN, 0, 1, 2, 3}
    assert min(focus.values()) > 150
    assert list(sampler) == picks
    sampler.set_epoch(1)
    assert list(sampler) != picks


def test_nothing_to_draw_from() -> None:
    with pytest.raises(DataError, match="no strips to draw from"):
        BalancedSampler(drawn_strips(0, seed=0), 10, [([], 1.0)], seed=0)


def test_a_pick_crops_around_its_class() -> None:
    strips = drawn_strips(5, seed=3)
    dataset = StripDataset(strips, crop=(256, 128))
    image, masks, *_ = dataset[SampleIndex(4, 3)]
    assert image.shape == (1, 256, 128)
    assert len(dataset) == 5
    assert masks[3].any()


def test_a_window_of_a_large_frame_shows_the_class_that_was_asked_for() -> None:
    masks = np.zeros((3, 300, 500), dtype=np.bool_)
    masks[1, 280:290, 480:490] = True
    torch.manual_seed(0)
    for _ in range(30):
        rows, columns = choose_window(masks, (64, 96), 1)
        assert masks[1, rows, columns].any()
        assert (rows.stop - rows.start, columns.stop - columns.start) == (64, 96)
        assert rows.start >= 0
        assert rows.stop <= 300
        clean = choose_window(masks, (64, 96), CLEAN)
        assert not masks[:, clean[0], clean[1]].any()
    starts = {choose_window(masks, (64, 96), 0)[0].start for _ in range(30)}  # a class that is not there
    assert len(starts) > 10


def test_a_smaller_strip_is_mirrored_up_to_the_sample() -> None:
    sample = StripDataset([MillStrip(0, 1, (50, 60), 2)], crop=(64, 96))[SampleIndex(0, 0)]
    assert sample.image.shape == (1, 64, 96)
    assert sample.masks.shape == (2, 64, 96)
    torch.testing.assert_close(sample.image[0, 50:], sample.image[0, 36:50].flip(0))
    torch.testing.assert_close(sample.masks[:, :, 60:], sample.masks[:, :, 24:60].flip(2))
