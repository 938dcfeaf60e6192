"""Drawn mills of any classes and size."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model_export.data.classes import read_classes
from model_export.data.draw import DrawConfig, draw
from model_export.data.drawn_mill import MillStrip, look_of
from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError, OptionError


def test_an_image_holds_what_it_says_and_is_drawn_alike_each_time() -> None:
    for number in range(10):
        strip = MillStrip(1, number, (96, 160), 7, rare=2)
        image, masks = strip.load()
        assert image.shape == (96, 160)
        assert masks.shape == (7, 96, 160)
        assert {position for position in range(7) if masks[position].any()} == strip.classes
        np.testing.assert_array_equal(image, strip.load()[0])


def test_rare_classes_are_rare_and_the_others_are_not() -> None:
    counts = Counter(
        position
        for number in range(200)
        for position in MillStrip(0, number, (64, 64), 7, rare=2).classes or {-1}
    )
    assert counts[5] == counts[6] == 10
    assert min(counts[position] for position in range(5)) > 30
    assert counts[-1] >= 30


def test_no_two_classes_look_alike() -> None:
    assert len({look_of(position) for position in range(32)}) == 32


def test_a_mill_is_written_with_its_classes(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path, count=6, class_names=("oil", "hole"), size=(64, 96), rare=1))
    assert [(kind.id, kind.name) for kind in read_classes(tmp_path)] == [(1, "oil"), (2, "hole")]
    strips = read_kaggle(tmp_path)
    assert {strip.shape for strip in strips} == {(64, 96)}
    assert {strip.classes for strip in strips} == {frozenset(), frozenset({0})}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (64, 64)}, "name its classes with --class-names"),
        ({"class_names": ("a",), "rare": 2}, "--rare: expected 0 to 1"),
        ({"class_names": ("a",), "size": (8, 64)}, "--size: expected 32 or more"),
        ({"class_names": ("a", "a")}, "--class-names: expected classes with names of their own"),
        ({"class_names": ("a",), "shapes": Path("x.csv")}, "--shapes are of Severstal's classes"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises((OptionError, DataError), match=message):
        draw(DrawConfig(out=tmp_path, **options))  # type: ignore[arg-type]
