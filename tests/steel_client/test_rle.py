"""The client's decoder beside the service's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.masks import rle as service_rle
from steel_client import rle
from steel_client.errors import SteelError
from steel_client.rle import Mask

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
words = st.one_of(
    st.integers(-2, 15).map(str), st.sampled_from(["", "x", "1.5", "+3", "1_0", "\u0663", "9" * 30])
)


@given(masks)
def test_a_mask_comes_back(mask: Mask) -> None:
    height, width = mask.shape
    found = rle.decode(service_rle.encode(mask.T), height=height, width=width)
    np.testing.assert_array_equal(found, mask)
    assert found.flags.c_contiguous


@given(st.lists(words, max_size=6).map(" ".join))
def test_both_decoders_agree_on_any_text(code: str) -> None:
    try:
        expected = service_rle.decode(code, height=3, width=4).T
    except service_rle.RleError:
        with pytest.raises(SteelError, match="expected "):
            rle.decode(code, height=3, width=4)
    else:
        np.testing.assert_array_equal(rle.decode(code, height=3, width=4), expected)
