"""Connected defects of a predicted and a true mask, matched one to one."""

import numpy as np
from scipy import ndimage

from model_export.metrics import LOCATED, InstanceCounts
from service.geometry import ColumnMask


def count_instances(predicted: ColumnMask | None, true: ColumnMask) -> InstanceCounts:
    """Count the connected parts of two masks and the pairs that match, the best pairs first.

    Pixels connect by their edges, as in the service's answer.

    Args:
        predicted: bool ``[width, height]``; None is an empty mask.
        true: of the same shape.
    """
    ours, count = ndimage.label(predicted) if predicted is not None else (None, 0)
    theirs, total = ndimage.label(true)
    if not count or not total:
        return InstanceCounts(count, total, 0)
    table = np.bincount((ours * (total + 1) + theirs).ravel(), minlength=(count + 1) * (total + 1))
    table = table.reshape(count + 1, total + 1)
    both = table[1:, 1:]
    union = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - both
    iou = both / union
    matched = 0
    while iou.max() >= LOCATED:
        row, column = np.unravel_index(int(iou.argmax()), iou.shape)
        iou[row], iou[:, column] = 0, 0
        matched += 1
    return InstanceCounts(count, total, matched)
