"""The shipped models on frames of real strips: their masks there, and what a frame costs."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model_export.data.kaggle import read_image, read_kaggle
from service.geometry import Strip
from service.inference.prediction import ImageRules, Job, Prediction, PredictOptions, run_jobs
from service.model.repository import find_model
from service.model.session import OrtSession
from service.model.tiles import cut_tiles, plan_tiles
from tests.support.images import png
from tests.support.serving import ROOT

pytestmark = pytest.mark.slow

_SEAM = 32
"""Rows beside an artificial seam that are left out: there, a model sees an edge that is none."""


@pytest.fixture(scope="module")
def strips(severstal: Path) -> list[Strip]:
    paths = [strip.path for strip in read_kaggle(severstal)]
    chosen = np.random.default_rng(0).permutation(len(paths))[:25]
    return [read_image(paths[index]) for index in chosen]


def predict(session: OrtSession, images: Sequence[Strip]) -> list[Prediction]:
    rules = ImageRules.of(session.metadata, max_pixels=16_000_000, check_health=False)
    options = PredictOptions(session.metadata.profiles[0], "rle")
    found = run_jobs(session, [Job(png(image), options) for image in images], rules)
    assert all(isinstance(one, Prediction) for one in found)
    return [one for one in found if isinstance(one, Prediction)]


@pytest.mark.parametrize(
    ("name", "least"), [("steel-unet-resnet18", 0.95), ("steel-unet-resnet18-fast", 0.75)]
)
def test_a_mosaic_has_the_masks_of_its_strips(strips: list[Strip], name: str, least: float) -> None:
    """Strips one below the other, shifted by 128 rows: tiles hold the halves of two.

    Of each strip the classes count that are likely on it; others may be likely on a tile for its neighbour.
    """
    session = OrtSession(find_model(ROOT / "models" / name), threads=1)
    both = either = 0
    for start in range(0, len(strips), 5):
        some = strips[start : start + 5]
        (frame,) = predict(session, [np.concatenate(some)[128:-128]])
        assert frame.tiles == 5
        for number, single in enumerate(predict(session, some[1:-1]), 1):
            top = 256 * number - 128
            for ours, theirs in zip(frame.classes, single.classes, strict=True):
                if theirs.probability < 0.5:
                    continue
                masks = [
                    np.zeros((1600, 256 - 2 * _SEAM), dtype=np.bool_)
                    if one.mask is None
                    else one.mask[:, first + _SEAM : first + 256 - _SEAM]
                    for one, first in ((ours, top), (theirs, 0))
                ]
                both += int(np.count_nonzero(masks[0] & masks[1]))
                either += int(np.count_nonzero(masks[0] | masks[1]))
    assert either > 100_000
    assert both / either >= least, both / either


@pytest.mark.alone
def test_a_frame_costs_no_more_than_its_tiles(strips: list[Strip], default_model: Path) -> None:
    """Processor time of the whole process; a tenth more is allowed for noise."""
    session = OrtSession(find_model(default_model), threads=1)
    rows = [np.concatenate(strips[start : start + 3], axis=1)[:, :4096] for start in range(0, 12, 3)]
    frame = np.concatenate(rows)
    tiles = [np.ascontiguousarray(tile) for tile in cut_tiles(frame, plan_tiles(1024, 4096, 256, 1600))]
    assert len(tiles) == 15
    ratios = []
    for _ in range(5):
        seconds = []
        for images in ([frame], tiles):
            started = time.process_time()
            predict(session, images)
            seconds.append(time.process_time() - started)
        ratios.append(seconds[0] / seconds[1])
    assert np.median(ratios) < 1.1, ratios
