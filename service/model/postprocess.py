"""Turn probabilities into masks by class thresholds, pixel thresholds and minimum areas."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.geometry import ColumnMask
from service.model.metadata import OperatingPoint


@dataclass(frozen=True, slots=True)
class ClassMask:
    """One class of defect on one strip."""

    class_id: int
    probability: float
    present: bool
    area: int
    """Pixels of the mask."""
    mask: ColumnMask | None
    """None when the class is not present."""


def apply_operating_point(
    classes: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8], point: OperatingPoint
) -> list[ClassMask]:
    """Turn one strip's probabilities into a mask for each class.

    A class is present when its image-level probability reaches ``class_threshold`` and its thresholded mask
    is not empty and has at least ``min_area`` pixels in all.

    Args:
        classes: float32 ``[classes]``, image-level probability of each class.
        masks: uint8 ``[classes, width, height]``, 255 x pixel probability, column-major.
        point: thresholds and areas.
    """
    return [_class_mask(index, float(classes[index]), masks[index], point) for index in range(len(masks))]


def byte_threshold(threshold: float) -> int:
    """Return the smallest byte b with b / 255 >= threshold, a fraction."""
    return math.ceil(threshold * 255 - 1e-9)


def _class_mask(
    index: int, probability: float, pixels: npt.NDArray[np.uint8], point: OperatingPoint
) -> ClassMask:
    absent = ClassMask(index + 1, probability, False, 0, None)
    if probability < point.class_threshold[index]:
        return absent
    mask = pixels >= byte_threshold(point.threshold[index])
    area = int(np.count_nonzero(mask))
    if area < max(1, point.min_area[index]):
        return absent
    return ClassMask(index + 1, probability, True, area, mask)
