"""The choice of a few strips."""

from collections import Counter

import numpy as np
import pytest

from model_export.data.choose import spread_by_class
from model_export.data.labelled_strip import CLEAN
from model_export.data.synthetic import drawn_strips


class Named:
    def __init__(self, name: str, *classes: int) -> None:
        self.name, self.classes = name, frozenset(classes)

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("a choice opens no image")


def test_a_rare_class_has_as_many_strips_as_a_frequent_one() -> None:
    strips = [Named(f"{n:03}") for n in range(60)] + [Named(f"{n}", 3) for n in range(60, 90)]
    strips += [Named("x", 2, 3), Named("y", 2)]
    chosen = spread_by_class(strips, 8)
    assert Counter(min(strip.classes, default=CLEAN) for strip in chosen) == {CLEAN: 3, 3: 3, 2: 2}
    assert [strip.name for strip in chosen if not strip.classes] == ["010", "030", "050"]


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (3, 3), (7, 7), (50, 20)])
def test_each_strip_is_chosen_once(count: int, expected: int) -> None:
    chosen = spread_by_class(drawn_strips(20, 1), count)
    assert len({strip.name for strip in chosen}) == len(chosen) == expected
    assert spread_by_class([], count) == []
