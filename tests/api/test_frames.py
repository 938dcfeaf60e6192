"""Frames, and models of other classes and tiles, through every route."""

import base64
import io
from typing import Any

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pycocotools.mask
import pytest
import shapely.geometry
from fastapi import FastAPI
from PIL import Image

from service.app import create_app
from service.masks.palette import COLOURS
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.health import LIMITS
from tests.support.images import png
from tests.support.mill import TILE, VALUES, write_mill_model
from tests.support.serving import running_app
from tests.support.tiny_model import block_rle, draw_blocks, write_tiny_model

pytestmark = pytest.mark.anyio

PNG = {"Content-Type": "image/png"}
LINE = (20, 70, 200, 5)
SPOT = (230, 150, 10, 10)
FRAME = draw_blocks((160, 240), [(VALUES[1], LINE), (VALUES[0], SPOT)])
"""9 tiles."""
SMALL = draw_blocks((40, 50), [(VALUES[2], (44, 30, 6, 10))])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    path = write_mill_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx")
    return OrtSession(path, device="cpu", threads=1, max_batch_size=1)


@pytest.fixture
def app(session: OrtSession) -> FastAPI:
    return create_app(Settings(), session=session)


async def asked(client: httpx.AsyncClient, image: npt.NDArray[np.uint8], **query: str) -> dict[str, Any]:
    response = await client.post("/predict", content=png(image), headers=PNG, params=query)
    assert response.status_code == 200, response.text
    (answer,) = response.json()["images"]
    return dict(answer)


def decoded(png64: str) -> npt.NDArray[Any]:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(png64), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


async def test_a_frame_has_its_own_size_and_says_its_tiles(client: httpx.AsyncClient) -> None:
    image = await asked(client, FRAME, instances="true", mm_per_px="0.5")
    assert (image["width"], image["height"], image["tiles"]) == (240, 160, 9)
    assert (image["verdict"], image["defect"], image["defect_probability"]) == ("defect", True, 1)
    assert [(one["class_id"], one["name"], one["area"]) for one in image["classes"]] == [
        (2, "scale", 100),
        (5, "crack", 1000),
        (9, "hole", 0),
    ]
    assert [one["rle"] for one in image["classes"]] == [
        block_rle(*SPOT, rows=160),
        block_rle(*LINE, rows=160),
        "",
    ]
    # Not cut in two where a tile ends.
    assert [(one["class_id"], tuple(one["bbox"])) for one in image["instances"]] == [(2, SPOT), (5, LINE)]
    assert image["instances"][1]["bbox_mm"] == [10, 35, 100, 2.5]


async def test_a_tile_says_nothing_new(client: httpx.AsyncClient) -> None:
    image = await asked(client, np.zeros(TILE, dtype=np.uint8))
    assert (image["width"], image["height"]) == (96, 64)
    assert "tiles" not in image


@pytest.mark.parametrize("form", ["coco_rle", "coco_rle_uncompressed", "polygon", "png"])
async def test_every_format_has_the_frames_size(client: httpx.AsyncClient, form: str) -> None:
    image = await asked(client, FRAME, mask_format=form)
    for position, value in enumerate(VALUES):
        expected = np.equal(FRAME, value)
        if form == "png":
            found = decoded(image["png"]) >> position & 1 == 1
        elif form == "polygon":
            shape = shapely.geometry.shape(image["classes"][position]["polygon"])
            assert shape.area == np.count_nonzero(expected)
            assert shape.equals(shapely.geometry.box(*box(expected)) if expected.any() else shape)
            continue
        else:
            code = image["classes"][position]["coco_rle"]
            assert code["size"] == [160, 240]
            plain = isinstance(code["counts"], list)
            packed = pycocotools.mask.frPyObjects(code, 160, 240) if plain else code
            found = pycocotools.mask.decode(packed).astype(bool)
        np.testing.assert_array_equal(found, expected)


def box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


async def test_maps_and_pixels_are_the_frames(client: httpx.AsyncClient) -> None:
    image = await asked(client, FRAME, maps="true", strip="true", mask_format="none")
    np.testing.assert_array_equal(decoded(image["strip"]), FRAME)
    maps = decoded(image["maps"]).reshape(3, 160, 240)
    for one, value in zip(maps, VALUES, strict=True):
        np.testing.assert_array_equal(one, 255 * (value == FRAME))


async def test_an_overlay_is_the_frame_with_a_legend(client: httpx.AsyncClient) -> None:
    response = await client.post("/overlay", content=png(FRAME), headers=PNG)
    picture = np.asarray(Image.open(io.BytesIO(response.content)))
    assert picture.shape[1:] == (240, 3)
    assert picture.shape[0] > 160 + 2 * 28  # captions take several lines of so narrow a picture
    assert picture[70, 100].tolist() == list(COLOURS[1])
    assert picture[150, 235].tolist() == list(COLOURS[0])
    assert picture[10, 10].tolist() == [0, 0, 0]


async def test_a_small_image_is_refused_unless_the_request_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=png(SMALL), headers=PNG)
    assert response.status_code == 422
    assert response.json()["detail"] == (
        "expected an image of at least 96x64 pixels, got a PNG of 50x40; pad=true, a parameter of the "
        "request, mirrors a smaller one at its border"
    )
    image = await asked(client, SMALL, pad="true", maps="true", strip="true")
    assert (image["width"], image["height"]) == (50, 40)
    assert "tiles" not in image
    assert image["classes"][2]["rle"] == block_rle(44, 30, 6, 10, rows=40)
    np.testing.assert_array_equal(decoded(image["strip"]), SMALL)
    assert decoded(image["maps"]).shape == (3 * 40, 50)
    response = await client.post("/overlay", content=png(SMALL), headers=PNG, params={"pad": "true"})
    assert Image.open(io.BytesIO(response.content)).width == 50


async def test_a_model_that_was_trained_on_padded_images_pads(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_mill_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx", pad=True)
    app = create_app(Settings(), session=OrtSession(path, device="cpu", threads=1))
    async with running_app(app) as client:
        assert (await asked(client, SMALL))["width"] == 50
        assert (await client.get("/model")).json()["pad"] is True
        response = await client.post("/predict", content=png(SMALL), params={"pad": "false"})
        assert response.status_code == 422


async def test_the_model_says_its_classes_and_its_tile(client: httpx.AsyncClient) -> None:
    model = (await client.get("/model")).json()
    assert (model["width"], model["height"], model["pad"]) == (96, 64, False)
    assert model["classes"] == [
        {"id": 2, "name": "scale"},
        {"id": 5, "name": "crack"},
        {"id": 9, "name": "hole"},
    ]


async def test_parameters_have_a_value_for_each_class(client: httpx.AsyncClient) -> None:
    image = await asked(client, FRAME, min_area="101,1,1")
    assert [one["present"] for one in image["classes"]] == [False, True, False]
    response = await client.post("/predict", content=png(FRAME), params={"min_area": "1,1,1,1"})
    assert response.status_code == 422
    assert response.json()["detail"] == (
        "min_area: expected one value or 3 separated by commas, each a whole number of pixels, got '1,1,1,1'"
    )
    response = await client.post("/predict", content=png(FRAME), params={"threshold": "0.5,0.5"})
    assert response.json()["parameter"] == "threshold"


async def test_metrics_count_by_the_ids_of_the_model(client: httpx.AsyncClient) -> None:
    await asked(client, FRAME)
    text = (await client.get("/metrics")).text
    assert 'steel_defects_total{class_id="5"} 1.0' in text
    assert 'steel_defects_total{class_id="2"} 1.0' in text
    assert "steel_tiles_total 9.0" in text


async def test_a_defect_beside_a_blind_tile_is_counted(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx"
    limits = LIMITS.model_copy(update={"black": (0.0, 1.0), "saturated": (0.0, 0.3)})
    write_mill_model(path, health=limits)
    blind = draw_blocks((160, 240), [(255, (168, 0, 72, 64)), (VALUES[1], (10, 100, 20, 20))])
    app = create_app(Settings(), session=OrtSession(path, device="cpu", threads=1))
    async with running_app(app) as client:
        image = await asked(client, blind)
        assert (image["verdict"], image["defect"], image["health"]["fault"]) == ("defect", True, "saturated")
        assert "; 1 of 9 tiles not inspected, the first at 144, 0: overexposed" in image["reason"]
        image = await asked(client, draw_blocks((160, 240), [(255, (168, 0, 72, 64)), (9, (0, 0, 90, 90))]))
        assert (image["verdict"], image["defect"]) == ("not_inspected", None)
        assert "classes" not in image
        text = (await client.get("/metrics")).text
    assert 'steel_defects_total{class_id="5"} 1.0' in text
    assert 'steel_health_faults_total{fault="saturated"} 2.0' in text
    assert 'steel_strips_total{defect="true"} 1.0' in text
    assert "steel_tiles_total 9.0" in text


async def test_tensors_have_the_models_classes_and_the_images_size(client: httpx.AsyncClient) -> None:
    metadata = (await client.get("/v2/models/tiny")).json()
    assert {one["name"]: (one["datatype"], one["shape"]) for one in metadata["outputs"]} == {
        "class_probability": ("FP32", [-1, 3]),
        "present": ("BOOL", [-1, 3]),
        "mask": ("UINT8", [-1, -1, -1]),
        "rle": ("BYTES", [-1, 3]),
        "verdict": ("BYTES", [-1]),
        "reason": ("BYTES", [-1]),
    }

    def body(*images: npt.NDArray[np.uint8], **changes: object) -> dict[str, object]:
        data = [base64.b64encode(png(image)).decode() for image in images]
        tensor = {"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data}
        return {"inputs": [tensor]} | changes

    answer = (await client.post("/v2/models/tiny/infer", json=body(FRAME))).json()
    outputs = {one["name"]: one for one in answer["outputs"]}
    assert outputs["mask"]["shape"] == [1, 160, 240]
    assert outputs["class_probability"]["shape"] == [1, 3]
    mask = np.array(outputs["mask"]["data"]).reshape(160, 240)
    np.testing.assert_array_equal(mask, 1 * (VALUES[0] == FRAME) + 2 * (VALUES[1] == FRAME))
    tile = np.zeros(TILE, dtype=np.uint8)
    refused = await client.post("/v2/models/tiny/infer", json=body(FRAME, tile))
    assert refused.status_code == 422
    assert refused.json()["error"] == (
        "outputs: expected images of one size for the tensor mask, got 96x64, 240x160"
    )
    only = {"outputs": [{"name": "rle"}], "parameters": {"pad": True}}
    answer = (await client.post("/v2/models/tiny/infer", json=body(FRAME, tile, SMALL, **only))).json()
    assert answer["outputs"][0]["shape"] == [3, 3]
    assert answer["outputs"][0]["data"][8] == block_rle(44, 30, 6, 10, rows=40)
    wrong = body(FRAME, parameters={"threshold": "0.5,0.5"})
    refused = await client.post("/v2/models/tiny/infer", json=wrong)
    assert refused.json()["parameter"] == "parameters.threshold"


async def test_frames_beside_strips_and_refusals(client: httpx.AsyncClient) -> None:
    wide = np.zeros((64, 10_000), dtype=np.uint8)  # 139 tiles
    files = [png(image) for image in (FRAME, np.zeros(TILE, dtype=np.uint8), SMALL, wide)]
    uploads = [("file", (str(number), data, "image/png")) for number, data in enumerate(files)]
    images = (await client.post("/predict", files=uploads)).json()["images"]
    assert [image["status"] for image in images] == [200, 200, 422, 413]
    assert images[3]["problem"]["detail"] == (
        "expected an image of at most 64 tiles of 96x64 pixels, as many as may wait "
        "(STEEL_MAX_QUEUE_SIZE), got 10000x64, 139 tiles"
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    """32 classes, of grey values 7 to 224."""
    path = tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx"
    write_tiny_model(path, values=range(7, 225, 7), tile=(64, 96))
    return OrtSession(path, device="cpu", threads=1, max_batch_size=1)


async def test_as_many_classes_as_there_may_be(many: OrtSession) -> None:
    values = range(7, 225, 7)
    frame = draw_blocks((100, 200), [(value, (6 * n + 4, n + 4, 5, 9)) for n, value in enumerate(values)])
    async with running_app(create_app(Settings(), session=many)) as client:
        image = await asked(client, frame)
        assert [one["class_id"] for one in image["classes"]] == list(range(1, 33))
        for n, one in enumerate(image["classes"]):
            assert one["rle"] == block_rle(6 * n + 4, n + 4, 5, 9, rows=100)
        overlay = await client.post("/overlay", content=png(frame), headers=PNG)
        picture = np.asarray(Image.open(io.BytesIO(overlay.content)))
        assert [tuple(picture[n + 4, 6 * n + 4].tolist()) for n in range(32)] == list(COLOURS)
        refused = await client.post("/predict", content=png(frame), params={"mask_format": "png"})
        assert refused.status_code == 422
        assert refused.json()["detail"] == (
            "mask_format: expected another format than png, whose pixels hold 16 classes: the model has 32"
        )
        data = base64.b64encode(png(frame)).decode()
        body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}]}
        outputs = (await client.post("/v2/models/tiny/infer", json=body)).json()["outputs"]
        mask = next(one for one in outputs if one["name"] == "mask")
        assert mask["datatype"] == "UINT32"
        bits = np.array(mask["data"], dtype=np.uint32).reshape(100, 200)
        for n, value in enumerate(values):
            np.testing.assert_array_equal(bits >> n & 1 == 1, frame == value)


async def test_a_model_of_one_class(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx"
    write_tiny_model(path, values=(90,), tile=(64, 64))
    session = OrtSession(path, device="cpu", threads=1)
    async with running_app(create_app(Settings(), session=session)) as client:
        image = await asked(client, draw_blocks((64, 64), [(90, (1, 2, 3, 4))]), mask_format="png")
        assert [one["class_id"] for one in image["classes"]] == [1]
        assert decoded(image["png"]).sum() == 12
        refused = await client.post("/predict", content=png(FRAME), params={"threshold": "0.5,0.5"})
        assert refused.json()["detail"] == "threshold: expected one value, each from 0 to 1, got '0.5,0.5'"
