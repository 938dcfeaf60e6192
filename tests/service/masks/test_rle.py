"""Kaggle's run-length code."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.geometry import ColumnMask
from service.masks import rle
from service.masks.rle import RleError

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


def slow_encode(mask: ColumnMask) -> str:
    """The definition, pixel by pixel: number from 1, top to bottom, then left to right."""
    runs: list[list[int]] = []
    for number, pixel in enumerate((bool(p) for column in mask for p in column), 1):
        if pixel and runs and runs[-1][0] + runs[-1][1] == number:
            runs[-1][1] += 1
        elif pixel:
            runs.append([number, 1])
    return " ".join(f"{start} {length}" for start, length in runs)


@given(masks)
def test_encode_agrees_with_the_definition(mask: ColumnMask) -> None:
    assert rle.encode(mask) == slow_encode(mask)


@given(masks)
def test_decode_undoes_encode(mask: ColumnMask) -> None:
    width, height = mask.shape
    np.testing.assert_array_equal(rle.decode(rle.encode(mask), height=height, width=width), mask)


def test_order_is_down_the_columns() -> None:
    image = np.zeros((3, 4), dtype=np.bool_)
    image[0, 1] = True  # second column, first row: pixel 4
    assert rle.encode(image.T) == "4 1"


@pytest.mark.parametrize(
    ("fill", "expected"), [(False, ""), (True, "1 409600")], ids=["empty mask", "full mask"]
)
def test_extremes(fill: bool, expected: str) -> None:
    assert rle.encode(np.full((1600, 256), fill)) == expected


def test_a_mask_of_no_pixels_is_the_empty_string() -> None:
    assert rle.encode(np.zeros((0, 256), dtype=np.bool_)) == ""


def test_encode_takes_a_mask_that_is_not_contiguous() -> None:
    image = np.zeros((2, 3), dtype=np.bool_)
    image[1, :] = True
    assert rle.encode(image.T) == "2 1 4 1 6 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "pairs of start and length, got 3 numbers"),
        ("1 x", "whole numbers only"),
        ("1 2.5", "whole numbers only"),
        ("1 99999999999999999999999", "whole numbers only"),
        ("1 0", "at least 1 pixel long, got 0"),
        ("3 2 4 1", "do not overlap"),
        ("5 1 1 1", "sorted"),
        ("0 1", "image within 1..12, got 0..0"),
        ("12 2", "image within 1..12, got 12..13"),
    ],
)
def test_decode_refuses(text: str, message: str) -> None:
    with pytest.raises(RleError, match=re.escape(message)):
        rle.decode(text, height=3, width=4)


@given(st.text(alphabet="0123456789 -", max_size=20))
def test_decode_answers_any_text_with_a_mask_or_its_own_error(text: str) -> None:
    try:
        mask = rle.decode(text, height=3, width=4)
    except RleError:
        return
    assert mask.shape == (4, 3)


def test_every_real_string_comes_back_the_same(severstal: Path) -> None:
    path = severstal.parent / "severstal-labels" / "train_partial.csv"
    if not path.is_file():
        pytest.skip("no real labels here")
    with path.open(newline="") as file:
        codes = [row["EncodedPixels"] for row in csv.DictReader(file)]
    assert len(codes) > 4000
    changed = [code for code in codes if rle.encode(rle.decode(code, height=256, width=1600)) != code]
    assert changed == []
