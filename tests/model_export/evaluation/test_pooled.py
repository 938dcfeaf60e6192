"""IoU pooled over pixels, as benchmarks have it."""

import numpy as np
import pytest

from model_export.evaluation.pooled import background_overlap, format_pooled, pooled_iou
from model_export.metrics import Overlap
from service.model.postprocess import ClassMask


def test_pixels_of_all_images_count_together() -> None:
    small, large = Overlap(predicted=10, true=10, intersection=10), Overlap(100, 100, 0)
    assert pooled_iou([small, large]) == pytest.approx(10 / 210)
    assert np.isnan(pooled_iou([Overlap(0, 0, 0)]))


def test_the_background_is_what_no_class_covers() -> None:
    truth = np.zeros((2, 4, 5), dtype=np.bool_)
    truth[0, 0] = True
    mask = np.zeros((5, 4), dtype=np.bool_)
    mask[0] = True
    found = [ClassMask(1, 0.9, True, 4, mask), ClassMask(2, 0.1, False, 0, None)]
    assert background_overlap(found, truth) == Overlap(predicted=16, true=15, intersection=12)


def test_a_class_that_is_nowhere_counts_for_nothing() -> None:
    overlaps = [[Overlap(10, 10, 5), Overlap(0, 0, 0)]]
    text = format_pooled(overlaps, [Overlap(90, 90, 85)], (4, 7))
    assert text.startswith("pooled over all pixels: mIoU 0.3333 (4: 0.3333, 7: nan)")
    assert "0.6140 with the background, 0.8947" in text
