"""The loss that a training minimises: masks, classes and, if there is one, the teacher's outputs."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from model_export.data.dataset import Sample
from model_export.network.steel_network import SteelNetwork
from model_export.training.config import TrainConfig
from model_export.training.device import autocast
from model_export.training.losses import MaskLoss
from model_export.training.teacher import Teacher

_TEACHER_FACTOR = 5.0
"""Factor of the teacher's masks: that of bce in the default --mask-loss."""


class Losses(NamedTuple):
    """Losses of a batch, scalars; the field names are columns of metrics.csv."""

    loss: Tensor
    """The sum to minimise."""
    mask_loss: Tensor
    class_loss: Tensor


class DecoderLogits(nn.Module):
    """The network up to the decoder's own resolution, where the loss is computed."""

    def __init__(self, network: SteelNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``SteelNetwork.decoder_logits``."""
        return self.network.decoder_logits(images)


class Objective:
    """Loss of a batch.

    Args:
        config: losses, their factors and weights, and the teacher.
        network: the network that trains; it brings masks to the decoder's resolution.
        device: device of the batches.
        precision: precision of the teacher.
    """

    def __init__(
        self, config: TrainConfig, network: SteelNetwork, device: torch.device, precision: torch.dtype
    ) -> None:
        self._config = config
        self._network = network
        self._device = device
        self._precision = precision
        self._mask_loss = MaskLoss(config.mask_loss, config.class_weights).to(device)
        self._teacher = Teacher(config.teacher, device) if config.teacher else None

    def __call__(self, batch: Sample, mask_logits: Tensor, class_logits: Tensor) -> Losses:
        """Compute the losses of a batch.

        Args:
            batch: of the loader, on the device; images and masks are float.
            mask_logits: at the decoder's resolution.
            class_logits: ``[n, classes]``.
        """
        mask_logits, class_logits = mask_logits.float(), class_logits.float()
        truth, teachers = batch.weights.unbind(dim=1)
        if self._teacher is not None:
            share = self._config.teacher_share
            truth, teachers = (1 - share) * truth, share * truth
        labelled = truth > 0
        mask_loss, class_loss = self.truth(
            batch.masks[labelled], mask_logits[labelled], class_logits[labelled]
        )
        loss = truth.mean() * (mask_loss + self._config.class_loss * class_loss)
        if self._teacher is not None:
            with autocast(self._device, self._precision):
                height, width = mask_logits.shape[2:]
                pixels, classes = self._teacher.predict(batch.image, (height, width))
            loss = loss + self._imitation(teachers, pixels, classes, mask_logits, class_logits)
        elif batch.soft_masks.shape[1]:
            pixels = self._network.downsample(batch.soft_masks.float() / 255)
            loss = loss + self._imitation(teachers, pixels, batch.soft_classes, mask_logits, class_logits)
        return Losses(loss, mask_loss, class_loss)

    def truth(self, masks: Tensor, mask_logits: Tensor, class_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the losses of masks and classes against the truth; 0 for an empty batch.

        Args:
            masks: float ``[n, classes, height, width]``, 0 or 1.
            mask_logits: float32, at the decoder's resolution.
            class_logits: float32 ``[n, classes]``.
        """
        if not len(masks):
            return mask_logits.sum(), class_logits.sum()  # zeros that the backward pass goes through
        mask_loss: Tensor = self._mask_loss(mask_logits, self._network.downsample(masks))
        return mask_loss, binary_cross_entropy_with_logits(class_logits, masks.amax(dim=(2, 3)))

    def _imitation(
        self, weights: Tensor, pixels: Tensor, classes: Tensor, mask_logits: Tensor, class_logits: Tensor
    ) -> Tensor:
        """Compute the loss against the teachers' probabilities, with a weight per sample ``[n]``."""
        of_masks = binary_cross_entropy_with_logits(mask_logits, pixels, reduction="none")
        of_classes = binary_cross_entropy_with_logits(class_logits, classes, reduction="none")
        each = _TEACHER_FACTOR * of_masks.mean(dim=(1, 2, 3))
        each = each + self._config.class_loss * of_classes.mean(dim=1)
        return (weights * each).mean()
