"""Files as elements of tensors."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

FILES = st.lists(st.binary(max_size=100), min_size=1, max_size=8)


def objects(elements: list[bytes]) -> Any:
    found = np.empty(len(elements), dtype=np.object_)
    found[:] = elements
    return found
