"""The loss that a training minimises: masks, classes and, if there is one, the teacher's outputs."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

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
        self._teacher = Teacher(config.teacher, device) if config.teacher is not None else None

    def __call__(self, images: Tensor, masks: Tensor, mask_logits: Tensor, class_logits: Tensor) -> Losses:
        """Compute the losses of a batch.

        Args:
            images: float ``[n, 1, height, width]``.
            masks: the truth, float ``[n, 4, height, width]``, 0 or 1.
            mask_logits: at the decoder's resolution.
            class_logits: ``[n, 4]``.
        """
        factor = self._config.class_loss
        mask_loss = self._mask_loss(mask_logits.float(), self._network.downsample(masks))
        present = masks.amax(dim=(2, 3))
        class_loss = binary_cross_entropy_with_logits(class_logits.float(), present)
        loss = mask_loss + factor * class_loss
        if self._teacher is not None:
            with autocast(self._device, self._precision):
                height, width = mask_logits.shape[2:]
                pixels, classes = self._teacher.predict(images, (height, width))
            imitation = _TEACHER_FACTOR * binary_cross_entropy_with_logits(mask_logits.float(), pixels)
            imitation += factor * binary_cross_entropy_with_logits(class_logits.float(), classes)
            share = self._config.teacher_share
            loss = (1 - share) * loss + share * imitation
        return Losses(loss, mask_loss, class_loss)
