"""Drawn strips."""

import numpy as np
import pytest

from model_export.data.synthetic import DrawnStrip, draw_strip


@pytest.mark.parametrize("number", range(8))
def test_a_drawn_strip_holds_what_it_says(number: int) -> None:
    drawn = DrawnStrip(seed=5, number=number)
    strip, masks = drawn.load()
    assert strip.shape == (256, 1600)
    assert strip.dtype == np.uint8
    assert masks.shape == (4, 256, 1600)
    assert masks.dtype == np.bool_
    assert {index for index in range(4) if masks[index].any()} == drawn.classes
    assert strip[~masks.any(axis=0)].std() > 1


def test_drawing_is_reproducible() -> None:
    one, same, other = (DrawnStrip(1, 2).load()[0], DrawnStrip(1, 2).load()[0], DrawnStrip(2, 2).load()[0])
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_defects_are_visible() -> None:
    """Each kind of defect changes the pixels under its mask, and only there."""
    clean, _ = draw_strip(np.random.default_rng(9), frozenset())
    for position in range(4):
        strip, masks = draw_strip(np.random.default_rng(9), frozenset({position}))
        inside = masks[position]
        assert inside.any()
        assert abs(float(strip[inside].mean()) - float(clean[inside].mean())) > 2
