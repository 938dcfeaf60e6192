"""A score and a loss of the network while it trains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from model_export.data.classes import Classes
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Frame, Tile, cut_frame
from model_export.metrics import Overlap, class_score, mean_or_none
from model_export.network.steel_network import SteelNetwork
from model_export.training.device import autocast
from model_export.training.objective import Objective
from model_export.training.pictures import Example
from service.model.metadata import ClassScore
from service.model.tiles import blend_maps

_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
_CLASS_THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Validation:
    """Result of a validation."""

    loss: float
    """Mean over the strips of the losses of masks and classes against the truth."""
    scores: tuple[ClassScore, ...]
    """Per class, at the thresholds that suit it best."""
    examples: tuple[Example, ...] = ()
    """Strips with what the network makes of them."""

    @property
    def score(self) -> float:
        """What chooses the best checkpoint: Dice on positives minus the rate of false alarms."""
        return mean_or_none([_gain(score) for score in self.scores]) or 0.0


@torch.inference_mode()
def validate(
    network: SteelNetwork,
    strips: Sequence[LabelledStrip],
    objective: Objective,
    device: torch.device,
    precision: torch.dtype,
    class_loss: float,
    *,
    classes: Classes,
    tile: Tile,
    pictured: frozenset[str] = frozenset(),
) -> Validation:
    """Score whole strips, tile by tile, with each class at its best pair of pixel and class threshold.

    The thresholds of a model file are tuned as well, so a network is not chosen for being right at 0.5, and
    a class that is not present counts for nothing. Reported scores come from
    ``model_export.evaluation.evaluate``, through the service's own code.

    Args:
        network: to validate.
        strips: at least one.
        objective: computes the loss.
        device: where to run.
        precision: to compute in.
        class_loss: factor of the loss of the classifier.
        classes: of the strips.
        tile: of the network.
        pictured: names of the strips that become examples.
    """
    network.eval()
    examples: list[Example] = []
    losses: list[float] = []
    count = len(classes)
    probability = np.zeros((len(strips), count))
    true = np.zeros((len(strips), count), dtype=np.int64)
    predicted = np.zeros((len(strips), count, len(_THRESHOLDS)), dtype=np.int64)
    both = np.zeros_like(predicted)
    for row, strip in enumerate(tqdm(strips, "validating", unit="strip", leave=False)):
        image, truth = strip.load()
        frame = cut_frame(image, tile, strip.name)
        parts: list[Tensor] = []
        for one, own in zip(frame.tiles, frame.cut(truth), strict=True):
            pixels = torch.tensor(one)[None, None].to(
                device, torch.float32, memory_format=torch.channels_last
            )
            masks = torch.tensor(own)[None].to(device, torch.float32)
            with autocast(device, precision):
                mask_logits, class_logits = network.decoder_logits(pixels)
            mask_loss, of_classes = objective.truth(masks, mask_logits.float(), class_logits.float())
            losses.append((float(mask_loss) + class_loss * float(of_classes)) / frame.plan.count)
            shown = torch.sigmoid(class_logits[0].float()).cpu().numpy()
            probability[row] = np.maximum(probability[row], shown)
            parts.append(torch.sigmoid(network.upsample(mask_logits)[0]))
        joined, holds = _join(frame, parts), torch.tensor(truth).to(device)
        if strip.name in pictured:
            examples.append(Example(strip.name, image, truth, joined.float().cpu().numpy()))
        true[row] = holds.sum(dim=(1, 2)).cpu().numpy()
        for column, threshold in enumerate(_THRESHOLDS):
            found = joined >= threshold
            predicted[row, :, column] = found.sum(dim=(1, 2)).cpu().numpy()
            both[row, :, column] = (found & holds).sum(dim=(1, 2)).cpu().numpy()
    scores = tuple(
        _best_score(kind.id, probability[:, index], true[:, index], predicted[:, index], both[:, index])
        for index, kind in enumerate(classes)
    )
    return Validation(float(np.sum(losses)) / len(strips), scores, tuple(examples))


def _join(frame: Frame, parts: list[Tensor]) -> Tensor:
    """Join the tiles' probabilities, ``[classes, height, width]`` each, into those of their image."""
    height, width = frame.shape
    if len(parts) == 1:
        return parts[0][:, :height, :width]
    maps = [(part * 255).round().to(torch.uint8).transpose(1, 2).cpu().numpy() for part in parts]
    blended = torch.from_numpy(blend_maps(frame.plan, maps)).to(parts[0].device)
    return blended.transpose(1, 2)[:, :height, :width].float() / 255


def _best_score(
    class_id: int, probability: npt.NDArray[np.float64], true: Counts, predicted: Counts, both: Counts
) -> ClassScore:
    """Score one class at its best pair of thresholds; ``predicted`` and ``both`` are ``[strips, pairs]``."""
    candidates = []
    for least in _CLASS_THRESHOLDS:
        present = probability >= least
        for column in range(len(_THRESHOLDS)):
            area, shared = np.where(present, predicted[:, column], 0), np.where(present, both[:, column], 0)
            rows = zip(area.tolist(), true.tolist(), shared.tolist(), strict=True)
            candidates.append(class_score(class_id, [Overlap(*counts) for counts in rows]))
    return max(candidates, key=lambda score: -2.0 if (gain := _gain(score)) is None else gain)


def _gain(score: ClassScore) -> float | None:
    """Return Dice on positives minus the rate of false alarms; None for a class that no strip holds."""
    return None if score.dice_positive is None else score.dice_positive - (score.false_alarm_rate or 0.0)
