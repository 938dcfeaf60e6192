"""Tiles cover a frame, and their maps become one map without seams."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.tiles import TilePlan, blend, blend_maps, combine_classes, cut_tiles, mirror, plan_tiles

sizes = st.integers(1, 6).map(lambda number: 32 * number)


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    tile_height, tile_width = draw(sizes), draw(sizes)
    return plan_tiles(
        tile_height + draw(st.integers(0, 500)),
        tile_width + draw(st.integers(0, 500)),
        tile_height,
        tile_width,
    )


@given(plans())
def test_tiles_cover_the_frame_with_an_overlap_and_none_is_in_vain(plan: TilePlan) -> None:
    for length, tile, starts in (
        (plan.height, plan.tile_height, plan.tops),
        (plan.width, plan.tile_width, plan.lefts),
    ):
        overlap = min(64, tile // 4)
        assert starts[0] == 0
        assert starts[-1] + tile == length
        # Positions are rounded to whole pixels, so neighbours may share one less.
        assert all(tile - (right - left) >= overlap - 1 for left, right in itertools.pairwise(starts))
        assert len(starts) == 1 or (len(starts) - 1) * (tile - overlap) + overlap < length
    assert plan.count == len(plan.positions)


@pytest.mark.parametrize(
    ("height", "width", "tiles"), [(256, 1600, 1), (1024, 4096, 15), (512, 2048, 6), (1024, 8192, 30)]
)
def test_number_of_tiles_of_a_strip(height: int, width: int, tiles: int) -> None:
    assert plan_tiles(height, width, 256, 1600).count == tiles


def test_a_frame_smaller_than_a_tile_has_no_plan() -> None:
    with pytest.raises(ValueError, match="at least 64x32 pixels, a tile, got 63x32"):
        plan_tiles(32, 63, 32, 64)


@given(plans(), st.integers(0, 2**32))
def test_tiles_of_one_map_give_that_map_back(plan: TilePlan, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (plan.height, plan.width), dtype=np.uint8)
    np.testing.assert_array_equal(blend(plan, [tile.T for tile in cut_tiles(frame, plan)]), frame.T)


@given(plans(), st.data())
def test_a_tile_that_takes_no_part_changes_nothing(plan: TilePlan, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.booleans(), min_size=plan.count, max_size=plan.count))
    shape = (plan.tile_width, plan.tile_height)
    found = blend(plan, [np.full(shape, 200, dtype=np.uint8) if part else None for part in parts])
    covered = np.zeros((plan.height, plan.width), dtype=np.uint8)
    for part, tile in zip(parts, cut_tiles(covered, plan), strict=True):
        tile |= part
    np.testing.assert_array_equal(found, 200 * covered.T)


def test_where_two_tiles_overlap_one_fades_into_the_other() -> None:
    plan = plan_tiles(32, 112, 32, 64)
    assert plan.lefts == (0, 48)
    dark, bright = np.full((64, 32), 10, np.uint8), np.full((64, 32), 180, np.uint8)
    row = blend(plan, [dark, bright])[:, 0].astype(int)
    assert (row[:48] == 10).all()
    assert (row[64:] == 180).all()
    np.testing.assert_array_equal(
        row[48:64], [20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170]
    )


def test_where_four_tiles_overlap_the_weights_of_both_directions_multiply() -> None:
    plan = plan_tiles(56, 56, 32, 32)
    assert plan.tops == plan.lefts == (0, 24)
    maps = [np.full((32, 32), value, np.uint8) for value in (0, 90, 180, 255)]
    shares = np.arange(1, 9) / 9
    right, lower = np.meshgrid(shares, shares, indexing="ij")
    expected = (1 - lower) * right * 90 + lower * (1 - right) * 180 + lower * right * 255
    np.testing.assert_allclose(blend(plan, maps)[24:32, 24:32], expected, atol=0.51)


def test_all_classes_at_once() -> None:
    plan = plan_tiles(56, 32, 32, 32)
    maps = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    takes_part = np.array([[True, True, False], [True, False, False]])
    found = blend_maps(plan, list(maps), takes_part)
    assert found.shape == (3, 32, 56)
    np.testing.assert_array_equal(found[0], blend(plan, [maps[0, 0], maps[1, 0]]))
    np.testing.assert_array_equal(found[1], blend(plan, [maps[0, 1], None]))
    assert not found[2].any()
    np.testing.assert_array_equal(blend_maps(plan, list(maps))[2], blend(plan, [maps[0, 2], maps[1, 2]]))


def test_a_class_is_as_likely_as_on_its_likeliest_tile() -> None:
    tiles = np.array([[0.1, 0.9], [0.4, 0.2]], dtype=np.float32)
    np.testing.assert_array_equal(combine_classes(tiles), np.array([0.4, 0.9], dtype=np.float32))


@pytest.mark.parametrize("shape", [(20, 30), (3, 1), (64, 30), (20, 96)])
def test_a_small_frame_is_mirrored_and_keeps_its_coordinates(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    large = mirror(frame, 64, 96)
    assert large.shape == (64, 96)
    expected: npt.NDArray[np.uint8] = np.concatenate([frame, frame[::-1]] * 64)[:64]
    expected = np.concatenate([expected, expected[:, ::-1]] * 96, axis=1)[:, :96]
    np.testing.assert_array_equal(large, expected)


def test_a_large_frame_is_not_mirrored() -> None:
    frame = np.zeros((64, 100), dtype=np.uint8)
    assert mirror(frame, 64, 96) is frame
