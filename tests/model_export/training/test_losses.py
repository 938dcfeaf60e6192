"""Losses and their recipes."""

import pytest
import torch

from model_export.training.losses import LOSSES, MaskLoss


@pytest.mark.parametrize("recipe", [*LOSSES, "5*bce+dice", "0.75*bce + 0.25*dice"])
def test_a_right_answer_costs_less_than_a_wrong_one(recipe: str) -> None:
    loss = MaskLoss(recipe)
    masks = torch.zeros((2, 4, 16, 16))
    masks[:, :, 4:9, 4:9] = 1
    right = (masks * 2 - 1) * 8
    assert float(loss(right, masks)) < 0.1
    assert float(loss(-right, masks)) > 5 * float(loss(right, masks)) + 0.2


def test_a_pixel_that_is_half_covered_costs_least_at_one_half() -> None:
    masks = torch.full((1, 4, 4, 4), 0.5)
    losses = [float(MaskLoss("bce")(torch.full_like(masks, logit), masks)) for logit in (-2.0, 0.0, 2.0)]
    assert min(losses) == losses[1]
    sharp = (torch.rand(1, 4, 4, 4) - 0.5) * 4
    assert float(MaskLoss("lovasz")(sharp, masks)) == float(MaskLoss("lovasz")(sharp, torch.ones_like(masks)))


def test_factors_count() -> None:
    torch.manual_seed(0)
    logits, masks = torch.randn(1, 4, 8, 8), torch.randint(0, 2, (1, 4, 8, 8)).float()
    parts = [float(MaskLoss(name)(logits, masks)) for name in ("bce", "dice")]
    assert float(MaskLoss("5*bce+0.5*dice")(logits, masks)) == pytest.approx(5 * parts[0] + 0.5 * parts[1])


def test_class_weights_weigh_the_pixels_that_hold_the_class() -> None:
    logits, masks = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    plain, weighted = MaskLoss("bce"), MaskLoss("bce", (2, 1, 1, 4))
    assert float(weighted(logits, masks)) == pytest.approx(2 * float(plain(logits, masks)))


@pytest.mark.parametrize("recipe", ["", "bce+", "x", "2bce", "bce-dice", "*dice"])
def test_a_recipe_that_cannot_be_read(recipe: str) -> None:
    with pytest.raises(ValueError, match=r"--mask-loss: expected terms .* with the names bce, dice"):
        MaskLoss(recipe)
