"""A trained network whose outputs another network learns, besides the truth."""

from pathlib import Path

import torch
from torch import Tensor, nn

from model_export.training.checkpoint import load_checkpoint, restore_network


class Teacher:
    """The teacher of knowledge distillation (Hinton et al. 2015).

    Args:
        checkpoint: file that train wrote; any network, of any resolution.
        device: where to run.
    """

    def __init__(self, checkpoint: Path, device: torch.device) -> None:
        self._network = restore_network(load_checkpoint(checkpoint)).to(device).eval()

    @torch.no_grad()
    def predict(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return probabilities of masks, reduced to the student's resolution, and of classes.

        Args:
            images: float ``[n, 1, height, width]``, grey values 0..255.
            size: height and width of the student's logits.

        Returns:
            Float32 ``[n, 4, *size]`` and ``[n, 4]``.
        """
        masks, classes = self._network.decoder_logits(images)
        pixels = nn.functional.adaptive_avg_pool2d(torch.sigmoid(masks.float()), size)
        return pixels, torch.sigmoid(classes.float())
