"""Losses of masks, combined by name: ``5*bce+dice``, ``focal``, ``tversky+0.5*bce``."""

import re
from collections.abc import Callable, Sequence

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before smp)

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from model_export.errors import OptionError


class WeightedBCE(nn.Module):
    """Binary cross-entropy per pixel, with a weight per class on its positive pixels."""

    positive_weight: Tensor

    def __init__(self, class_weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("positive_weight", torch.tensor(class_weights).view(1, -1, 1, 1))

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Compute the loss of logits against masks, both float ``[n, classes, height, width]``."""
        return nn.functional.binary_cross_entropy_with_logits(logits, masks, pos_weight=self.positive_weight)


class BinaryLovasz(nn.Module):
    """The Lovász hinge, which needs masks of 0 and 1: pixels that are covered by half or more count as 1."""

    def __init__(self) -> None:
        super().__init__()
        self._loss = smp.losses.LovaszLoss("multilabel")

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Compute the loss of logits against masks, both float ``[n, classes, height, width]``."""
        loss: Tensor = self._loss(logits, (masks >= 0.5).to(masks.dtype))
        return loss


LOSSES: dict[str, Callable[[Sequence[float]], nn.Module]] = {
    "bce": WeightedBCE,
    "dice": lambda _: smp.losses.DiceLoss("multilabel", from_logits=True),
    "focal": lambda _: smp.losses.FocalLoss("multilabel"),
    "lovasz": lambda _: BinaryLovasz(),
    # Missing a defect pixel costs more than adding one: alpha weighs false alarms, beta misses.
    "tversky": lambda _: smp.losses.TverskyLoss("multilabel", from_logits=True, alpha=0.3, beta=0.7),
}

_TERM = re.compile(r"(?:(?P<weight>\d+(?:\.\d+)?)\*)?(?P<name>[a-z]+)")


class MaskLoss(nn.Module):
    """A weighted sum of losses.

    Args:
        recipe: terms joined by ``+``, each a name of ``LOSSES`` with an optional factor before ``*``.
        class_weights: weight of the positive pixels of each class in ``bce``, or one for all.

    Raises:
        OptionError: if the recipe is invalid.
    """

    def __init__(self, recipe: str, class_weights: Sequence[float] = (1,)) -> None:
        super().__init__()
        self.factors: list[float] = []
        self.terms = nn.ModuleList()
        for part in recipe.replace(" ", "").split("+"):
            match = _TERM.fullmatch(part)
            if match is None or match["name"] not in LOSSES:
                raise OptionError(
                    f"--mask-loss: expected terms like 5*bce+dice with the names "
                    f"{', '.join(LOSSES)}, got {part!r} in {recipe!r}"
                )
            self.factors.append(float(match["weight"] or 1))
            self.terms.append(LOSSES[match["name"]](class_weights))

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Compute the scalar loss of logits against masks, both float ``[n, classes, height, width]``."""
        losses = [factor * term(logits, masks) for factor, term in zip(self.factors, self.terms, strict=True)]
        return torch.stack(losses).sum()
