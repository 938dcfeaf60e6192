"""From probabilities to masks: thresholds, minimum areas and the gate for clean strips."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.geometry import ColumnMask
from service.model.metadata import OperatingPoint


@dataclass(frozen=True, slots=True)
class ClassMask:
    """What one strip shows of one class."""

    class_id: int
    probability: float
    area: int
    """Pixels of the mask."""
    mask: ColumnMask | None
    """bool ``[1600, 256]``, column-major; None when the class is not present."""

    @property
    def present(self) -> bool:
        """Whether the strip holds the class."""
        return self.mask is not None


def segment(
    classes: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8], point: OperatingPoint
) -> list[ClassMask]:
    """Apply an operating point to one strip's probabilities.

    Args:
        classes: float32 ``[4]``, image-level probability per class.
        masks: uint8 ``[4, 1600, 256]``, 255 x pixel probability, column-major.
        point: thresholds and areas.

    A class is present when its image-level probability reaches ``class_threshold`` and its
    thresholded mask is not empty and has at least ``min_area`` pixels in all.
    """
    return [_segment_class(index, float(classes[index]), masks[index], point) for index in range(len(masks))]


def _segment_class(
    index: int, probability: float, pixels: npt.NDArray[np.uint8], point: OperatingPoint
) -> ClassMask:
    absent = ClassMask(index + 1, probability, 0, None)
    if probability < point.class_threshold[index]:
        return absent
    mask = pixels >= point.byte_threshold(index)
    area = int(np.count_nonzero(mask))
    if area < max(1, point.min_area[index]):
        return absent
    return ClassMask(index + 1, probability, area, mask)
