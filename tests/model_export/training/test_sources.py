"""Sources of training samples, and their shares."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.dataset import SampleIndex, StripDataset
from model_export.data.draw import DrawConfig, draw
from model_export.data.labelled_strip import CLEAN
from model_export.data.synthetic import DrawnStrip
from model_export.training.sources import BackgroundStrip, list_samples, list_strips, make_split
from tests.support.quick_training import TINY


def test_background_is_a_defective_strip_where_it_is_clean() -> None:
    strip = DrawnStrip(5, 3)
    background = BackgroundStrip(strip)
    assert strip.classes
    assert background.classes == frozenset()
    assert background.name == f"background-{strip.name}"
    for seed in range(10):
        torch.manual_seed(seed)
        sample = StripDataset([background], crop=(256, 64))[SampleIndex(0, CLEAN)]
        assert not sample.masks.any()


def test_every_kind_of_sample_gets_its_share(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path, count=10))
    config = replace(
        TINY, data=tmp_path, fold=0, drawn_share=0.1, background_share=0.2, pasted_share=0.3, folds=2
    )
    strips = list_strips(config)
    samples, groups = list_samples(config, strips, make_split(config, strips))
    kinds = {type(samples[indices[0]]).__name__: share for indices, share in groups}
    shares = {"KaggleStrip": 0.4, "DrawnStrip": 0.1, "BackgroundStrip": 0.2, "PastedStrip": 0.3}
    assert kinds == pytest.approx(shares)
