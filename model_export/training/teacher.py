"""A trained network that another one learns from, besides the truth."""

from pathlib import Path

import torch
from torch import Tensor, nn

from model_export.training import checkpoint as checkpoints


class Teacher:
    """Answers the samples of another network's training (knowledge distillation, Hinton et al. 2015).

    Args:
        checkpoint: what train wrote; any network, of any resolution.
        device: where to run.
    """

    def __init__(self, checkpoint: Path, device: torch.device) -> None:
        self._network = checkpoints.restore_network(checkpoints.load(checkpoint)).to(device).eval()

    @torch.no_grad()
    def answer(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Answer probabilities of masks, reduced to a learner's resolution, and of classes.

        Args:
            images: float ``[n, 1, height, width]``, grey values 0..255.
            size: height and width of the learner's logits.

        Returns:
            Float32 ``[n, 4, *size]`` and ``[n, 4]``.
        """
        masks, classes = self._network.decoder_logits(images)
        pixels = nn.functional.adaptive_avg_pool2d(torch.sigmoid(masks.float()), size)
        return pixels, torch.sigmoid(classes.float())
