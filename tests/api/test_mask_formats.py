"""mask_format, instances and mm_per_px of /predict, on masks that are known."""

import base64
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pycocotools.mask
import pytest
import shapely.geometry
from PIL import Image

from model_export.data.kaggle import read_kaggle
from service.app import create_app
from service.masks import rle
from service.settings import Settings
from tests.support.images import encoded, exif, png, read
from tests.support.serving import running_app
from tests.support.tiny_model import block_rle, block_strip

pytestmark = pytest.mark.anyio

BLOCK = (100, 20, 5, 30)
STRIP = png(block_strip(c3=BLOCK, c1=(200, 0, 10, 4)))


async def image_of(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    response = await client.post("/predict", params=query, files={"file": ("a.png", STRIP, "image/png")})
    assert response.status_code == 200, response.text
    image: dict[str, Any] = response.json()["images"][0]
    return image


@pytest.mark.parametrize(
    ("mask_format", "field"),
    [
        ("rle", "rle"),
        ("coco_rle", "coco_rle"),
        ("coco_rle_uncompressed", "coco_rle"),
        ("polygon", "polygon"),
        ("png", None),
        ("none", None),
    ],
)
async def test_a_mask_is_written_in_the_format_asked_for_and_no_other(
    client: httpx.AsyncClient, mask_format: str, field: str | None
) -> None:
    image = await image_of(client, mask_format=mask_format)
    for found in image["classes"]:
        assert {"rle", "coco_rle", "polygon"} & found.keys() == ({field} if field else set())
        assert "area_mm2" not in found
    assert ("png" in image) is (mask_format == "png")
    assert "instances" not in image
    assert [found["area"] for found in image["classes"]] == [40, 0, 150, 0]


async def test_all_formats_hold_the_same_mask(client: httpx.AsyncClient) -> None:
    expected = np.zeros((256, 1600), dtype=bool)
    expected[20:50, 100:105] = True
    third = (await image_of(client, mask_format="coco_rle"))["classes"][2]
    np.testing.assert_array_equal(pycocotools.mask.decode(third["coco_rle"]), expected)
    third = (await image_of(client, mask_format="polygon"))["classes"][2]
    assert shapely.geometry.shape(third["polygon"]).equals(shapely.geometry.box(100, 20, 105, 50))
    code = base64.b64decode((await image_of(client, mask_format="png"))["png"])
    bits = cv2.imdecode(np.frombuffer(code, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert bits is not None
    np.testing.assert_array_equal(bits == 4, expected)
    assert np.count_nonzero(bits == 1) == 40
    assert (await image_of(client))["classes"][2]["rle"] == block_rle(*BLOCK)


async def test_instances_come_with_box_area_and_centroid(client: httpx.AsyncClient) -> None:
    image = await image_of(client, instances="true", mask_format="none")
    first = {"class_id": 1, "score": 1.0, "bbox": [200, 0, 10, 4], "area": 40, "centroid": [205.0, 2.0]}
    third = {"class_id": 3, "score": 1.0, "bbox": [*BLOCK], "area": 150, "centroid": [102.5, 35.0]}
    assert image["instances"] == [first, third]


async def test_millimetres_stand_beside_pixels(client: httpx.AsyncClient) -> None:
    image = await image_of(client, instances="true", mm_per_px="0.5x2")
    assert image["classes"][2]["area_mm2"] == 150.0
    assert image["classes"][1]["area_mm2"] == 0.0
    found = image["instances"][1]
    assert found["bbox"] == [*BLOCK]
    assert found["bbox_mm"] == [50.0, 40.0, 2.5, 60.0]
    assert found["centroid_mm"] == [51.25, 70.0]
    assert found["area_mm2"] == 150.0
    image = await image_of(client, mm_per_px="0.1")
    assert image["classes"][2]["area_mm2"] == 1.5


@pytest.mark.parametrize("text", ["0", "-1", "1,2,3", "x", "nan", "inf", "1e9", ""])
async def test_a_wrong_size_of_a_pixel_is_refused(client: httpx.AsyncClient, text: str) -> None:
    response = await client.post("/predict", params={"mm_per_px": text}, content=STRIP)
    assert response.status_code == 422
    assert response.json()["parameter"] == "mm_per_px"
    assert "millimetres of a pixel" in response.json()["detail"]


async def test_photographed_strips_have_the_same_mask_in_every_format(
    default_model: Path, severstal: Path
) -> None:
    masks = 0
    async with running_app(create_app(Settings(model=default_model))) as client:
        for strip in read_kaggle(severstal)[:20]:
            answers = {}
            for name in ("rle", "coco_rle", "coco_rle_uncompressed", "polygon", "png"):
                response = await client.post(
                    "/predict", params={"mask_format": name}, content=strip.path.read_bytes()
                )
                answers[name] = response.json()["images"][0]
            bits = cv2.imdecode(
                np.frombuffer(base64.b64decode(answers["png"]["png"]), dtype=np.uint8), cv2.IMREAD_UNCHANGED
            )
            assert bits is not None
            for index, found in enumerate(answers["rle"]["classes"]):
                mask = rle.decode(found["rle"], height=256, width=1600).T
                if not found["present"]:
                    continue
                masks += 1
                code = answers["coco_rle"]["classes"][index]["coco_rle"]
                np.testing.assert_array_equal(pycocotools.mask.decode(code), mask)
                plain = answers["coco_rle_uncompressed"]["classes"][index]["coco_rle"]
                plain = pycocotools.mask.frPyObjects(plain, 256, 1600)
                np.testing.assert_array_equal(pycocotools.mask.decode(plain), mask)
                np.testing.assert_array_equal(np.right_shift(bits, index) & 1, mask)
                drawn = filled(answers["polygon"]["classes"][index]["polygon"])
                both, either = np.count_nonzero(drawn & mask), np.count_nonzero(drawn | mask)
                assert both / either >= 0.99
    assert masks > 10


def filled(polygon: dict[str, Any]) -> np.ndarray:
    """Fill by OpenCV, four times as large: it counts the outline itself as inside."""
    large = np.zeros((1024, 6400), dtype=np.uint8)
    for rings in polygon["coordinates"]:
        for number, ring in enumerate(rings):
            points = np.array(ring, dtype=np.int32) * 4
            cv2.fillPoly(large, [points], 1 if number == 0 else 0)
    return large[2::4, 2::4].astype(bool)


async def test_maps_are_given_to_callers_that_ask_for_them(client: httpx.AsyncClient) -> None:
    assert "maps" not in await image_of(client)
    image = await image_of(client, maps="true")
    code = np.frombuffer(base64.b64decode(image["maps"]), dtype=np.uint8)
    maps = cv2.imdecode(code, cv2.IMREAD_UNCHANGED)
    assert maps is not None
    left, top, width, height = BLOCK
    third = np.zeros((256, 1600), dtype=np.uint8)
    third[top : top + height, left : left + width] = 255
    np.testing.assert_array_equal(maps[2 * 256 : 3 * 256], third)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 100}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})],
)
async def test_strip_masks_and_overlay_are_as_stored(
    client: httpx.AsyncClient, kind: str, options: dict[str, object]
) -> None:
    assert "strip" not in await image_of(client)
    image = Image.fromarray(block_strip(c3=BLOCK))
    plain = encoded(image, kind, **options)
    expected = (await client.post("/predict", content=plain, params={"strip": "true"})).json()["images"][0]
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(expected["strip"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, read(plain))
    picture = (await client.post("/overlay", content=plain)).content
    for turned in range(2, 9):
        data = encoded(image, kind, exif=exif(turned), **options)
        answer = (await client.post("/predict", content=data, params={"strip": "true"})).json()["images"][0]
        assert answer | {"sha256": ""} == expected | {"sha256": ""}
        assert (await client.post("/overlay", content=data)).content == picture


async def test_the_strip_of_a_camera_of_twelve_bits_has_eight(client: httpx.AsyncClient) -> None:
    strip = block_strip(c3=BLOCK)
    wide = encoded(Image.fromarray(np.rint(strip * (4095 / 255)).astype(np.uint16)), "PNG")
    query = {"strip": "true", "bits": "12"}
    answer = (await client.post("/predict", content=wide, params=query)).json()["images"][0]
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(answer["strip"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, strip)
