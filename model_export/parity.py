"""A model file against its network in torch."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from model_export.data import LabelledStrip
from model_export.metrics import Overlap, class_scores
from model_export.overlaps import overlaps_of
from model_export.torch_session import Answers
from service.metadata import CLASS_COUNT, HEIGHT, WIDTH, OperatingPoint, Parity


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""


def check_parity(
    reference: Answers,
    session: Answers,
    strips: Sequence[LabelledStrip],
    point: OperatingPoint,
    *,
    halved: bool = False,
) -> Parity:
    """Compare a file with torch in float32, strip by strip.

    Raises:
        ParityError: if a class probability differs by more than 0.001, a mask byte by more than 1, fewer
            than 99.9 % of the pixels fall on the same side of the thresholds, or the mean Dice on
            positives of a class differs by more than 0.005. For a file with ``halved`` weights the first
            is 0.01 and, since a few bytes may differ more, the second does not count.
    """
    class_difference = 0.0
    byte_difference = 0
    equal_pixels = 0
    overlaps: tuple[list[list[Overlap]], list[list[Overlap]]] = [], []
    for strip in tqdm(strips, "comparing with torch", unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        expected = reference.infer([image])[0]
        answer = session.infer([image])[0]
        class_difference = max(class_difference, float(np.abs(answer.classes - expected.classes).max()))
        byte_difference = max(
            byte_difference,
            int(np.abs(answer.masks.astype(np.int16) - expected.masks.astype(np.int16)).max()),
        )
        for index in range(CLASS_COUNT):
            level = point.byte_threshold(index)
            equal_pixels += int(
                np.count_nonzero((answer.masks[index] >= level) == (expected.masks[index] >= level))
            )
        for one, collected in zip((expected, answer), overlaps, strict=True):
            collected.append(overlaps_of(one, truth, point))
    agreement = equal_pixels / (len(strips) * CLASS_COUNT * HEIGHT * WIDTH)
    dice_difference = max(
        abs((first.dice_positive or 0.0) - (second.dice_positive or 0.0))
        for first, second in zip(*map(class_scores, overlaps), strict=True)
    )
    most_class, most_byte = (1e-2, 255) if halved else (1e-3, 1)
    if not (
        class_difference <= most_class
        and byte_difference <= most_byte
        and agreement >= 0.999
        and dice_difference <= 0.005
    ):
        raise ParityError(
            f"the exported graph differs from torch on {len(strips)} strips: class probabilities by up to "
            f"{class_difference:.4f}, mask bytes by up to {byte_difference} of 255, {agreement:.4%} of the "
            f"pixels agree, Dice on positives of a class differs by up to {dice_difference:.4f}; nothing was "
            "written"
        )
    return Parity(
        strips=len(strips),
        max_class_probability_difference=class_difference,
        max_mask_byte_difference=byte_difference,
        pixel_agreement=agreement,
        max_dice_difference=dice_difference,
    )
