"""Connected regions of a mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.geometry import ColumnMask
from service.masks.regions import Box, drop_unreached, instances
from tests.support.masks import masks


@given(masks, st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_instances_are_opencvs_connected_components(mask: ColumnMask, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, mask.shape, dtype=np.uint8)
    found = instances(2, mask, pixels)
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        mask.T.astype(np.uint8), connectivity=4
    )
    expected = [
        (*stats[label], *(centroids[label] + 0.5), pixels.T[labels == label].mean() / 255)
        for label in range(1, count)
    ]
    answered = [(*one.bbox, one.area, *one.centroid, one.score) for one in found]
    assert len(answered) == len(expected)
    for ours, theirs in zip(sorted(answered), sorted(expected), strict=True):
        assert ours == pytest.approx(theirs)
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)
    assert {one.class_id for one in found} <= {2}


boxes = st.lists(
    st.tuples(st.integers(0, 1599), st.integers(0, 255), st.integers(1, 300), st.integers(1, 100)), max_size=3
)


@given(masks, boxes)
@settings(max_examples=30, deadline=None)
def test_parts_that_a_box_touches_are_kept_whole(mask: ColumnMask, drawn: list[Box]) -> None:
    chosen = [(left, top, left + width, top + height) for left, top, width, height in drawn]
    _, labels = cv2.connectedComponents(mask.T.astype(np.uint8), connectivity=4)
    touched = {
        int(label) for left, top, right, low in chosen for label in np.unique(labels[top:low, left:right])
    }
    expected = np.isin(labels, [*(touched - {0})]).T
    drop_unreached(mask, chosen)
    np.testing.assert_array_equal(mask, expected)
