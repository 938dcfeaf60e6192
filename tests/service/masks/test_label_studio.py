"""Label Studio's run-length code."""

import re

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.masks import label_studio
from service.masks.rle import RleError

Mask = npt.NDArray[np.bool_]


@given(arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_what_is_written_is_read(mask: Mask) -> None:
    width, height = mask.shape
    np.testing.assert_array_equal(
        label_studio.decode(label_studio.encode(mask), height=height, width=width), mask
    )


def test_one_pixel_by_hand() -> None:
    # 4 values, 8 bits each, lengths of 3, 4, 8, 16 bits; a run of the first size, 4 long, of 255.
    bits = f"{4:032b}" + f"{7:05b}" + "0010001101111111" + "10001111111111"
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert label_studio.encode(np.ones((1, 1), dtype=np.bool_)) == code


def test_single_values_are_read_too() -> None:
    """Label Studio's page writes them where no two values are the same."""
    bits = f"{8:032b}" + f"{7:05b}" + "0010001101111111"
    bits += "000111" + "".join(f"{value:08b}" for value in (9, 9, 9, 0, 9, 9, 9, 200))
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    np.testing.assert_array_equal(label_studio.decode(code, height=1, width=2), [[False], [True]])


def test_a_large_mask_takes_several_runs() -> None:
    mask = np.ones((1600, 256), dtype=np.bool_)  # 1,638,400 values, at most 65,536 in a run
    code = label_studio.encode(mask)
    assert len(code) < 100
    assert label_studio.decode(code, height=256, width=1600).all()


@given(st.lists(st.integers(0, 255), max_size=40))
def test_what_is_no_code_is_refused(code: list[int]) -> None:
    with pytest.raises(RleError):
        label_studio.decode(code, height=256, width=1600)


@pytest.mark.parametrize("code", [[256], [-1], ["a"], [1.5]])
def test_what_are_no_bytes_is_refused(code: list[int]) -> None:
    with pytest.raises(RleError, match="list of bytes"):
        label_studio.decode(code, height=1, width=1)


def test_the_size_must_be_right() -> None:
    code = label_studio.encode(np.zeros((2, 2), dtype=np.bool_))
    with pytest.raises(RleError, match="expected a brush code of 8 values of 8 bits, got 16 of 8 bits"):
        label_studio.decode(code, height=1, width=2)
    whole = label_studio.encode(np.ones((4, 4), dtype=np.bool_))
    with pytest.raises(RleError, match="too early"):
        label_studio.decode(whole[:-2], height=4, width=4)


def test_every_class_of_a_model_has_its_colour_by_its_place() -> None:
    interface = label_studio.labelling_interface({9: "hole", 2: "scale"})
    labels = re.findall(r'<Label value="(\w+)" background="#(\w+)"/>', interface)
    assert labels == [("scale", "e69f00"), ("hole", "56b4e9")]
