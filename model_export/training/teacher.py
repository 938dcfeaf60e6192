"""Trained networks whose mean output another network learns, besides the truth."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from model_export.training.checkpoint import load_checkpoint, restore_network


class Teacher:
    """The teacher of knowledge distillation (Hinton et al. 2015), one network or the mean of several.

    Args:
        checkpoints: files that train wrote; any networks, of any resolution.
        device: where to run.
    """

    def __init__(self, checkpoints: Sequence[Path], device: torch.device) -> None:
        self._networks = [restore_network(load_checkpoint(path)).to(device).eval() for path in checkpoints]

    @torch.no_grad()
    def predict(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return mean probabilities of masks, reduced to the student's resolution, and of classes.

        Args:
            images: float ``[n, 1, height, width]``, grey values 0..255.
            size: height and width of the student's logits.

        Returns:
            Float32 ``[n, classes, *size]`` and ``[n, classes]``.
        """
        pixels, present = [], []
        for network in self._networks:
            masks, classes = network.decoder_logits(images)
            pixels.append(nn.functional.adaptive_avg_pool2d(torch.sigmoid(masks.float()), size))
            present.append(torch.sigmoid(classes.float()))
        return torch.stack(pixels).mean(dim=0), torch.stack(present).mean(dim=0)
