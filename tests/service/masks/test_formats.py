"""Masks in every format, read back by the libraries that callers have."""

import base64
from typing import Any

import cv2
import numpy as np
import pycocotools.mask
import pytest
import shapely
import shapely.geometry
import supervision
from hypothesis import given, settings
from hypothesis import strategies as st

from service.geometry import ColumnMask
from service.masks import rle
from service.masks.formats import CODECS, maps_png, png
from tests.support.masks import HEIGHT, WIDTH, drawn, masks


def write(mask: ColumnMask | None, mask_format: str) -> dict[str, Any]:
    codec = CODECS.get(mask_format)
    return {} if codec is None else {codec.field: codec.encode(mask, (WIDTH, HEIGHT))}


def from_polygon(polygon: dict[str, Any]) -> ColumnMask:
    """Return the mask of pixels whose centre lies inside."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5, indexing="ij")
    inside: ColumnMask = shapely.contains_xy(shapely.geometry.shape(polygon), x, y)
    return inside


@given(masks)
@settings(max_examples=30, deadline=None)
def test_coco_codes_are_read_by_pycocotools_and_supervision(mask: ColumnMask) -> None:
    code = write(mask, "coco_rle")["coco_rle"]
    np.testing.assert_array_equal(pycocotools.mask.decode(code), mask.T)
    plain = write(mask, "coco_rle_uncompressed")["coco_rle"]
    assert plain["size"] == code["size"] == [HEIGHT, WIDTH]
    np.testing.assert_array_equal(
        pycocotools.mask.decode(pycocotools.mask.frPyObjects(plain, HEIGHT, WIDTH)), mask.T
    )
    np.testing.assert_array_equal(supervision.rle_to_mask(plain["counts"], (WIDTH, HEIGHT)), mask.T)


@given(masks)
@settings(max_examples=15, deadline=None)
def test_polygons_are_valid_and_exact_holes_included(mask: ColumnMask) -> None:
    polygon = write(mask, "polygon")["polygon"]
    shape = shapely.geometry.shape(polygon)
    assert shape.is_valid
    assert shape.area == np.count_nonzero(mask)
    np.testing.assert_array_equal(from_polygon(polygon), mask)


def test_a_ring_has_a_hole_and_corners_only() -> None:
    polygon = write(drawn([(10, 20, 30, 40, True), (15, 25, 5, 6, False)]), "polygon")["polygon"]
    ((outer, hole),) = polygon["coordinates"]
    assert {tuple(point) for point in outer} == {(10, 20), (40, 20), (40, 60), (10, 60)}
    assert {tuple(point) for point in hole} == {(15, 25), (20, 25), (20, 31), (15, 31)}
    assert len(outer) == len(hole) == 5
    assert outer[0] == outer[-1]


@pytest.mark.parametrize(
    ("classes", "dtype"), [(1, "uint8"), (4, "uint8"), (8, "uint8"), (9, "uint16"), (16, "uint16")]
)
@given(st.data())
@settings(max_examples=5, deadline=None)
def test_a_png_holds_a_bit_per_class(classes: int, dtype: str, data: st.DataObject) -> None:
    found = data.draw(st.lists(masks, min_size=classes, max_size=classes))
    code = png([mask if mask.any() else None for mask in found], (WIDTH, HEIGHT))
    image = cv2.imdecode(np.frombuffer(base64.b64decode(code), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape == (HEIGHT, WIDTH)
    assert image.dtype == dtype
    for number, mask in enumerate(found):
        np.testing.assert_array_equal(np.right_shift(image, number) & 1, mask.T)


@pytest.mark.parametrize(
    ("mask_format", "expected"),
    [
        ("rle", {"rle": ""}),
        ("polygon", {"polygon": {"type": "MultiPolygon", "coordinates": []}}),
        ("coco_rle_uncompressed", {"coco_rle": {"size": [256, 1600], "counts": [409_600]}}),
        ("png", {}),
        ("none", {}),
    ],
)
def test_no_mask_has_a_code_too(mask_format: Any, expected: dict[str, Any]) -> None:
    assert write(None, mask_format) == expected
    assert write(np.zeros((WIDTH, HEIGHT), dtype=np.bool_), mask_format) == expected


def test_a_mask_from_the_first_pixel_on_begins_with_no_background() -> None:
    mask = np.ones((WIDTH, HEIGHT), dtype=np.bool_)
    assert write(mask, "coco_rle_uncompressed")["coco_rle"]["counts"] == [0, 409_600]
    assert write(mask, "rle")["rle"] == "1 409600" == rle.encode(mask)


def test_maps_are_one_picture_of_all_classes() -> None:
    maps = np.random.default_rng(0).integers(0, 256, (4, WIDTH, HEIGHT), dtype=np.uint8)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(maps_png(maps)), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (4 * HEIGHT, WIDTH)
    for number, one in enumerate(maps):
        np.testing.assert_array_equal(picture[number * HEIGHT : (number + 1) * HEIGHT], one.T)
