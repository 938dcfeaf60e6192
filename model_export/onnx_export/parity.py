"""Comparison of a model file with its network in torch."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.errors import ParityError
from model_export.evaluation.overlaps import measure_overlaps
from model_export.evaluation.torch_session import SupportsInfer
from model_export.metrics import Overlap, class_scores
from service.geometry import CLASS_COUNT, HEIGHT, WIDTH
from service.model.metadata import OperatingPoint, Parity
from service.model.postprocess import byte_threshold

Arithmetic = Literal["fp32", "half weights", "fp16", "int8"]


class Tolerance(NamedTuple):
    """Largest allowed differences between a file and its network."""

    class_probability: float
    mask_byte: int
    """Of 255, in any pixel; 255 does not limit single pixels."""
    pixels: float
    """Share of pixels on the other side of the thresholds."""
    dice: float
    """Difference of a class's mean Dice on positives."""


TOLERANCE: dict[Arithmetic, Tolerance] = {
    "fp32": Tolerance(1e-3, 1, 1e-3, 0.005),
    "half weights": Tolerance(1e-2, 255, 1e-3, 0.005),
    "fp16": Tolerance(2e-2, 255, 1e-2, 0.005),
    "int8": Tolerance(0.25, 255, 1e-2, 0.1),  # one of a dozen strips can change a mean by this
}


def check_parity(
    reference: SupportsInfer,
    session: SupportsInfer,
    strips: Sequence[LabelledStrip],
    point: OperatingPoint,
    arithmetic: Arithmetic = "fp32",
) -> Parity:
    """Compare a file with torch in float32, strip by strip.

    Raises:
        ParityError: if they differ by more than ``TOLERANCE`` allows this arithmetic.
    """
    class_difference = 0.0
    byte_difference = 0
    equal_pixels = 0
    overlaps: tuple[list[list[Overlap]], list[list[Overlap]]] = [], []
    for strip in tqdm(strips, "comparing with torch", unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        expected = reference.infer([image])[0]
        actual = session.infer([image])[0]
        class_difference = max(class_difference, float(np.abs(actual.classes - expected.classes).max()))
        byte_difference = max(
            byte_difference,
            int(np.abs(actual.masks.astype(np.int16) - expected.masks.astype(np.int16)).max()),
        )
        for index in range(CLASS_COUNT):
            level = byte_threshold(point.threshold[index])
            equal_pixels += int(
                np.count_nonzero((actual.masks[index] >= level) == (expected.masks[index] >= level))
            )
        for one, collected in zip((expected, actual), overlaps, strict=True):
            collected.append(measure_overlaps(one, truth, point))
    agreement = equal_pixels / (len(strips) * CLASS_COUNT * HEIGHT * WIDTH)
    dice_difference = max(
        abs((first.dice_positive or 0.0) - (second.dice_positive or 0.0))
        for first, second in zip(*map(class_scores, overlaps), strict=True)
    )
    allowed = TOLERANCE[arithmetic]
    if not (
        class_difference <= allowed.class_probability
        and byte_difference <= allowed.mask_byte
        and agreement >= 1 - allowed.pixels
        and dice_difference <= allowed.dice
    ):
        raise ParityError(
            f"the exported {arithmetic} graph differs from torch on {len(strips)} strips: class "
            f"probabilities by up to {class_difference:.4f}, mask bytes by up to {byte_difference} of 255, "
            f"{agreement:.4%} of the pixels agree, Dice on positives of a class differs by up to "
            f"{dice_difference:.4f}; nothing was written"
            + ("; --precision fp32 keeps the network as it is" if arithmetic == "int8" else "")
        )
    return Parity(
        strips=len(strips),
        max_class_probability_difference=class_difference,
        max_mask_byte_difference=byte_difference,
        pixel_agreement=agreement,
        max_dice_difference=dice_difference,
    )
