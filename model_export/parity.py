"""A model file against its network in torch."""

from collections.abc import Sequence

import numpy as np

from model_export.torch_session import Answers
from service.metadata import CLASS_COUNT, HEIGHT, WIDTH, OperatingPoint, Parity, Strip


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""


def check_parity(
    reference: Answers,
    session: Answers,
    strips: Sequence[Strip],
    point: OperatingPoint,
    *,
    halved: bool = False,
) -> Parity:
    """Compare a file with torch in float32, strip by strip.

    Raises:
        ParityError: if a class probability differs by more than 0.001, a mask byte by more than 1, or
            fewer than 99.9 % of the pixels fall on the same side of the thresholds. For a file with
            ``halved`` weights that is 0.01 and, since a few bytes may differ more, the pixels alone.
    """
    class_difference = 0.0
    byte_difference = 0
    equal_pixels = 0
    for strip in strips:
        expected = reference.infer([strip])[0]
        answer = session.infer([strip])[0]
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
    agreement = equal_pixels / (len(strips) * CLASS_COUNT * HEIGHT * WIDTH)
    most_class, most_byte = (1e-2, 255) if halved else (1e-3, 1)
    if not (class_difference <= most_class and byte_difference <= most_byte and agreement >= 0.999):
        raise ParityError(
            f"the exported graph differs from torch on {len(strips)} strips: class probabilities by up to "
            f"{class_difference:.4f}, mask bytes by up to {byte_difference} of 255, {agreement:.4%} of the "
            "pixels agree; nothing was written"
        )
    return Parity(
        strips=len(strips),
        max_class_probability_difference=class_difference,
        max_mask_byte_difference=byte_difference,
        pixel_agreement=agreement,
    )
