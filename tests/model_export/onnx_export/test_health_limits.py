"""Limits of image health learnt from strips: blind frames are beyond them, other strips are not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.synthetic import DrawnStrip
from model_export.data.tile import Tile
from model_export.onnx_export.health_limits import learn_health_limits
from service.geometry import Strip
from service.model.health import check_health
from tests.support.health import blind_frames

TILE = Tile(256, 1600)
KINDS = blind_frames(DrawnStrip(seed=0, number=1).load()[0]).keys()


@dataclass(frozen=True)
class PhotographedStrip:
    """A strip whose masks do not matter."""

    path: Path
    classes = frozenset[int]()

    @property
    def name(self) -> str:
        return self.path.name

    def load(self) -> tuple[Strip, np.ndarray]:
        with Image.open(self.path) as image:
            return np.asarray(image.convert("L")), np.zeros((4, *TILE.shape), dtype=np.bool_)


def drawn(first: int, count: int) -> list[DrawnStrip]:
    return [DrawnStrip(seed=5, number=number) for number in range(first, first + count)]


@pytest.mark.parametrize("count", [1, 20])
def test_few_strips_are_enough_to_inspect_others_like_them(count: int) -> None:
    limits = learn_health_limits(drawn(0, count), TILE)
    assert limits.strips == count
    faults = [check_health(strip.load()[0], limits).reason for strip in drawn(100, 20)]
    assert [reason for reason in faults if reason is not None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_blind_frames_of_drawn_strips_are_found(kind: str) -> None:
    limits = learn_health_limits(drawn(0, 20), TILE)
    frames = [blind_frames(strip.load()[0], seed)[kind] for seed, strip in enumerate(drawn(200, 3))]
    assert [frame for frame in frames if check_health(frame, limits).fault is None] == []


def test_a_measure_that_never_varies_makes_no_other_strip_new() -> None:
    (strip,) = drawn(0, 1)
    assert check_health(drawn(1, 1)[0].load()[0], learn_health_limits([strip] * 3, TILE)).fault is None


@pytest.mark.slow
def test_real_strips_pass_and_blind_frames_of_thirty_do_not(severstal: Path) -> None:
    labelled, *others = [
        [PhotographedStrip(path) for path in sorted(folder.glob("*.jpg"))]
        for folder in (
            severstal / "train_images",
            severstal / "test_images",
            severstal.with_name("severstal-unlabelled"),
        )
    ]
    limits = learn_health_limits(labelled, TILE)
    strips = [*labelled, *others[0], *others[1]]
    assert len(strips) >= 200
    refused = {one.name: check_health(one.load()[0], limits).reason for one in strips}
    assert {name: reason for name, reason in refused.items() if reason is not None} == {}
    for strip in labelled[:: len(labelled) // 30][:30]:
        missed = [
            kind
            for kind, frame in blind_frames(strip.load()[0]).items()
            if check_health(frame, limits).fault is None
        ]
        assert missed == [], strip.name
