"""Masks made of rectangles."""

import numpy as np
from hypothesis import strategies as st

from service.geometry import ColumnMask

HEIGHT, WIDTH = 256, 1600
Blocks = list[tuple[int, int, int, int, bool]]


def drawn(blocks: Blocks) -> ColumnMask:
    """Return a mask of rectangles that are set or cleared: left, top, width, height, value."""
    mask = np.zeros((WIDTH, HEIGHT), dtype=np.bool_)
    for left, top, width, height, value in blocks:
        mask[left : left + width, top : top + height] = value
    return mask


masks = st.lists(
    st.tuples(
        st.integers(0, 1599), st.integers(0, 255), st.integers(1, 60), st.integers(1, 60), st.booleans()
    ),
    max_size=12,
).map(drawn)
