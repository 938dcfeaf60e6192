"""Intersection over union pooled over all pixels of all images, as benchmarks of segmentation report it.

The scores of ``metrics`` are means over strips, which a mill meets one at a time. Published results count all
pixels of a test set together, class by class, and average the classes: mIoU.
"""

from collections.abc import Sequence

import numpy as np

from model_export.data.labelled_strip import Masks
from model_export.metrics import Overlap
from service.model.postprocess import ClassMask


def background_overlap(found: Sequence[ClassMask], truth: Masks) -> Overlap:
    """Return the overlap of what is background by the answer and by the truth of one image."""
    defective = truth.any(axis=0).T
    reported = np.zeros_like(defective)
    for one in found:
        if one.mask is not None:
            reported |= one.mask
    return Overlap(
        predicted=int(np.count_nonzero(~reported)),
        true=int(np.count_nonzero(~defective)),
        intersection=int(np.count_nonzero(~(reported | defective))),
    )


def pooled_iou(overlaps: Sequence[Overlap]) -> float:
    """Return the IoU of all pixels of one class on all images; nan if neither truth nor answer has any."""
    both = sum(one.intersection for one in overlaps)
    union = sum(one.predicted + one.true for one in overlaps) - both
    return both / union if union else float("nan")


def format_pooled(
    overlaps: Sequence[Sequence[Overlap]], background: Sequence[Overlap], class_ids: Sequence[int]
) -> str:
    """Format pooled IoU in a paragraph.

    Args:
        overlaps: per image, an entry per class.
        background: per image.
        class_ids: of the classes.
    """
    each = [pooled_iou([one[index] for one in overlaps]) for index in range(len(class_ids))]
    behind = pooled_iou(background)
    known = [value for value in each if not np.isnan(value)]
    mean = f"{np.mean(known):.4f}" if known else "-"
    classes = ", ".join(f"{class_id}: {value:.4f}" for class_id, value in zip(class_ids, each, strict=True))
    return (
        f"pooled over all pixels: mIoU {mean} ({classes}); {np.mean([*known, behind]):.4f} with the "
        f"background, {behind:.4f}"
    )
