"""The score that chooses the best checkpoint."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model_export.data.severstal import CLASSES, HEIGHT, WIDTH
from model_export.data.synthetic import drawn_strips
from model_export.data.tile import Tile
from model_export.network.steel_network import SteelNetwork
from model_export.training.objective import Objective
from model_export.training.validation import Validation, validate
from tests.support.quick_training import TINY

STRIPS = drawn_strips(5, seed=2)
CPU = torch.device("cpu")


class Oracle(SteelNetwork):
    """A network that knows the truth, and answers as ``say`` makes of it."""

    def __init__(self, say: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        super().__init__(TINY.network)
        self.say = say
        self.known = {
            float(torch.tensor(image).float().sum()): torch.from_numpy(masks.copy()).float()
            for image, masks in (strip.load() for strip in STRIPS)
        }

    def decoder_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.say(self.downsample(self.known[float(images.sum())][None]))


def score(say: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Validation:
    network = Oracle(say)
    objective = Objective(TINY, network, CPU, torch.float32)
    return validate(
        network, STRIPS, objective, CPU, torch.float32, 0.5, classes=CLASSES, tile=Tile(HEIGHT, WIDTH)
    )


def _right(truth: Tensor) -> tuple[Tensor, Tensor]:
    return 12 * truth - 6, 12 * truth.amax(dim=(2, 3)) - 6


def test_low_probabilities_that_rank_well_score_well() -> None:
    """No probability reaches one half, which thresholds of a model file make good."""

    def timid(truth: Tensor) -> tuple[Tensor, Tensor]:
        masks, classes = _right(truth)
        return masks.clamp_max(-1.5), classes.clamp_max(-1.5)

    assert score(timid).score > 0.7
    assert score(timid).loss > score(_right).loss > 0


def test_false_alarms_that_the_classifier_rejects_cost_nothing() -> None:
    def everywhere(truth: Tensor) -> tuple[Tensor, Tensor]:
        masks, classes = _right(truth)
        spots = torch.full_like(masks, -6)
        spots[:, :, :2, :4] = 6
        return torch.where(classes[..., None, None] > 0, masks, spots), classes

    def blind(truth: Tensor) -> tuple[Tensor, Tensor]:
        masks, classes = everywhere(truth)
        return masks, torch.zeros_like(classes)

    gated = score(everywhere)
    assert gated.score == pytest.approx(score(_right).score, abs=0.01)
    assert all(one.false_alarm_rate == 0 for one in gated.scores if one.strips_without)
    assert score(blind).score < gated.score - 0.2
