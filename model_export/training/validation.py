"""A score of the network while it trains."""

from collections.abc import Sequence

import torch
from torch import nn
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.metrics import Overlap, class_scores
from model_export.training.device import autocast
from model_export.training.loaders import whole_strips
from service.model.metadata import ClassScore


@torch.inference_mode()
def validate(
    network: nn.Module,
    strips: Sequence[LabelledStrip],
    device: torch.device,
    precision: torch.dtype,
    threshold: float = 0.5,
) -> tuple[ClassScore, ...]:
    """Score whole strips at one threshold, without gate and minimum area.

    Reported scores come from ``model_export.evaluation.evaluate``, through the service's own code.
    """
    network.eval()
    overlaps: list[list[Overlap]] = []
    for image, truth in tqdm(whole_strips(strips), "validating", len(strips), unit="strip", leave=False):
        with autocast(device, precision):
            logits, _ = network(
                image.unsqueeze(0).to(device, torch.float32, memory_format=torch.channels_last)
            )
        predicted = (torch.sigmoid(logits[0]) >= threshold).cpu()
        overlaps.append(
            [
                Overlap(int(p.sum()), int(t.sum()), int((p & t).sum()))
                for p, t in zip(predicted, truth.bool(), strict=True)
            ]
        )
    return class_scores(overlaps)
