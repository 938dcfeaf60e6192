"""Measures of image health, on strips whose measures can be computed by hand."""

import numpy as np
import pytest

from service.geometry import Strip
from service.images.health import measure_health
from tests.support.tiny_model import TILE

HEIGHT, WIDTH = TILE


def strip_of(columns: np.ndarray) -> Strip:
    return np.broadcast_to(columns.astype(np.uint8), (HEIGHT, WIDTH)).copy()


def test_a_black_strip_is_measured_whole() -> None:
    found = measure_health(strip_of(np.full(WIDTH, 3)))
    assert found == (1.0, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def test_columns_beyond_the_steel_do_not_count() -> None:
    columns = np.zeros(WIDTH)
    columns[400:1200] = 100
    found = measure_health(strip_of(columns))
    assert (found.black, found.brightness, found.contrast) == (0.5, 100.0, 0.0)
    assert (found.blank, found.noise) == (1.0, 0.0)


def test_saturated_pixels_are_counted() -> None:
    columns = np.full(WIDTH, 100)
    columns[:400] = 250
    assert measure_health(strip_of(columns)).saturated == 0.25


def test_stripes_across_are_sharp_along_the_strip_only() -> None:
    columns = np.tile([100, 110], WIDTH // 2)
    found = measure_health(strip_of(columns))
    assert (found.brightness, found.contrast, found.blank) == (105.0, 5.0, 0.0)
    assert found.sharpness == 0.0  # the less of both directions: one line again and again is not sharp
    assert found.noise == 2.0  # neighbours differ by 10, the variance is 25


def test_a_chessboard_is_sharp_both_ways() -> None:
    rows, columns = np.indices((HEIGHT, WIDTH))
    board = np.where((rows + columns) % 2, 110, 100).astype(np.uint8)
    assert measure_health(board).sharpness == 20.0


def test_white_noise_has_a_noise_of_one() -> None:
    random = np.random.default_rng(0).integers(50, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    assert measure_health(random).noise == pytest.approx(1, abs=0.03)


def test_a_sliver_of_steel_is_none() -> None:
    columns = np.zeros(WIDTH)
    columns[:15] = 100
    assert measure_health(strip_of(columns)).sharpness == 0
    assert measure_health(strip_of(columns)).black == pytest.approx(1 - 15 / WIDTH)
