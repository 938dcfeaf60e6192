"""POST /predict and /overlay on the tiny model: every answer can be worked out by hand."""

import asyncio
import hashlib
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.images import encoded, png
from tests.support.tiny_model import block_rle, block_strip

pytestmark = pytest.mark.anyio

BLOCK = (100, 20, 5, 30)
STRIP = png(block_strip(c3=BLOCK))
PNG = {"Content-Type": "image/png"}


async def test_the_whole_answer(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", files={"file": ("a.png", STRIP, "image/png")})
    assert response.status_code == 200
    body = response.json()
    timing = body.pop("timing_ms")
    model = body.pop("model")
    assert list(timing) == ["decode", "queue", "inference", "postprocess", "total"]
    assert timing["total"] >= timing["inference"] > 0
    assert len(model.pop("sha256")) == 64
    assert model == {
        "name": "tiny",
        "version": "1",
        "provider": "CPUExecutionProvider",
        "precision": "fp32",
    }
    empty = {"present": False, "probability": 0.0, "area": 0, "rle": ""}
    assert body == {
        "profile": {
            "name": "inspection",
            "class_threshold": [0.5, 0.5, 0.5, 0.5],
            "threshold": [0.5, 0.5, 0.5, 0.5],
            "min_area": [1, 1, 1, 1],
        },
        "images": [
            {
                "filename": "a.png",
                "status": 200,
                "verdict": "defect",
                "reason": "kind 3 100%, 150 px",
                "width": 1600,
                "height": 256,
                "sha256": hashlib.sha256(STRIP).hexdigest(),
                "defect": True,
                "defect_probability": 1.0,
                "classes": [
                    {"class_id": 1, "name": "kind 1", **empty},
                    {"class_id": 2, "name": "kind 2", **empty},
                    {
                        "class_id": 3,
                        "name": "kind 3",
                        "present": True,
                        "probability": 1.0,
                        "area": 150,
                        "rle": block_rle(*BLOCK),
                    },
                    {"class_id": 4, "name": "kind 4", **empty},
                ],
            }
        ],
    }
    stages = [part.split(";dur=") for part in response.headers["server-timing"].split(", ")]
    assert [name for name, _ in stages] == list(timing)
    assert all(float(duration) >= 0 for _, duration in stages)


async def test_a_clean_strip(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=png(block_strip()), headers=PNG)
    (image,) = response.json()["images"]
    assert image["defect"] is False
    assert (image["verdict"], image["reason"]) == ("ok", "likeliest defect: kind 1 0.0%")
    assert "defect_probability" not in image
    assert [found["rle"] for found in image["classes"]] == ["", "", "", ""]


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "Image/PNG; x=y", None])
async def test_the_image_itself_as_the_body(client: httpx.AsyncClient, kind: str | None) -> None:
    headers = {"X-Filename": "cam3.png"} | ({"Content-Type": kind} if kind else {})
    response = await client.post("/predict", content=STRIP, headers=headers)
    (image,) = response.json()["images"]
    assert image["filename"] == "cam3.png"
    assert image["classes"][2]["area"] == 150


async def test_several_files_keep_their_order_and_a_bad_one_fails_alone(client: httpx.AsyncClient) -> None:
    files = [
        ("file", ("one.png", png(block_strip(c1=(0, 0, 1, 1))), "image/png")),
        ("file", ("two.txt", b"not an image", "text/plain")),
        ("file", ("three.png", encoded(Image.new("L", (10, 10)), "PNG"), "image/png")),
        ("file", ("four.png", png(block_strip(c4=(1599, 255, 1, 1))), "image/png")),
    ]
    response = await client.post("/predict", files=files)
    assert response.status_code == 200
    images = response.json()["images"]
    assert [image["filename"] for image in images] == ["one.png", "two.txt", "three.png", "four.png"]
    assert [image["status"] for image in images] == [200, 415, 422, 200]
    assert images[0]["classes"][0]["rle"] == "1 1"
    assert images[3]["classes"][3]["rle"] == "409600 1"
    assert images[1]["problem"]["status"] == 415
    assert "classes" not in images[1]
    assert "got a PNG of 10x10" in images[2]["problem"]["detail"]


async def test_several_files_of_which_all_are_bad_answer_each(client: httpx.AsyncClient) -> None:
    files = [("file", (name, b"not an image", "image/png")) for name in ("a", "b")]
    response = await client.post("/predict", files=files)
    assert response.status_code == 200
    assert [image["status"] for image in response.json()["images"]] == [415, 415]


async def test_many_callers_each_get_their_own_strip(client: httpx.AsyncClient) -> None:
    async def call(number: int) -> str:
        strip = png(block_strip(c2=(number * 7, number, 3, 9)))
        response = await client.post("/predict", content=strip, headers=PNG)
        return str(response.json()["images"][0]["classes"][1]["rle"])

    rles = await asyncio.gather(*(call(number) for number in range(40)))
    assert rles == [block_rle(number * 7, number, 3, 9) for number in range(40)]


async def test_profile_threshold_and_area_can_be_chosen(client: httpx.AsyncClient) -> None:
    async def found(**query: str) -> tuple[bool, dict[str, object]]:
        response = await client.post("/predict", content=STRIP, headers=PNG, params=query)
        body = response.json()
        return body["images"][0]["classes"][2]["present"], body["profile"]

    assert await found(profile="kaggle") == (
        True,
        {
            "name": "kaggle",
            "class_threshold": [0.5] * 4,
            "threshold": [0.5] * 4,
            "min_area": [100] * 4,
        },
    )
    present, profile = await found(profile="kaggle", min_area="1,1,151,1", threshold="0.25")
    assert not present
    assert profile["min_area"] == [1, 1, 151, 1]
    assert profile["threshold"] == [0.25] * 4


async def test_a_repeated_parameter_is_a_list(client: httpx.AsyncClient) -> None:
    thresholds = [0.9, 0.25, 0.5, 0.75]
    params: dict[str, str | list[float]] = {"threshold": thresholds, "mm_per_px": "1x5"}
    response = await client.post("/predict", params=params, content=STRIP, headers=PNG)
    assert response.json()["profile"]["threshold"] == thresholds
    assert response.json()["mm_per_px"] == [1, 5]
    response = await client.post("/predict?profile=kaggle&profile=inspection", content=STRIP, headers=PNG)
    assert response.status_code == 422
    assert response.json()["parameter"] == "profile"


async def test_masks_can_be_left_out(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict?mask_format=none", content=STRIP, headers=PNG)
    found = response.json()["images"][0]["classes"][2]
    assert found["area"] == 150
    assert "rle" not in found


async def test_a_file_name_that_is_no_ascii(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", files={"file": ("Bändchen 1.png", STRIP, "image/png")})
    assert response.json()["images"][0]["filename"] == "Bändchen 1.png"
    name = {b"X-Filename": "钢板.png".encode()}
    response = await client.post("/predict", content=STRIP, headers=name)
    assert response.json()["images"][0]["filename"] == "钢板.png"


async def test_the_callers_request_id_comes_back(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=STRIP, headers=PNG | {"X-Request-Id": "line=3/42"})
    assert response.headers["x-request-id"] == "line=3/42"


@pytest.mark.parametrize("bad", ["with space", "x" * 129, "tab\t", ""])
async def test_a_request_id_that_could_harm_a_log_is_replaced(client: httpx.AsyncClient, bad: str) -> None:
    response = await client.get("/health/live", headers={"X-Request-Id": bad})
    assert len(response.headers["x-request-id"]) == 32


async def test_an_overlay_is_a_picture(client: httpx.AsyncClient) -> None:
    response = await client.post("/overlay", content=STRIP, headers=PNG)
    assert response.headers["content-type"] == "image/png"
    assert "inference;dur=" in response.headers["server-timing"]
    picture = np.asarray(Image.open(io.BytesIO(response.content)))
    assert picture.shape == (312, 1600, 3)
    left, top, width, height = BLOCK
    inside = picture[top : top + height, left : left + width]
    assert (inside[..., 0] != inside[..., 1]).all()  # coloured
    assert (picture[:256, :left, 0] == picture[:256, :left, 1]).all()  # grey


@pytest.mark.parametrize("kind", ["image/gif", "image/svg+xml", "image/jpeg", "application/octet-stream"])
@pytest.mark.parametrize("multipart", [True, False])
async def test_the_first_bytes_say_what_an_image_is(
    client: httpx.AsyncClient, kind: str, multipart: bool
) -> None:
    """As the page and docs/api.md say: whatever the header, a PNG is a PNG, and a GIF is refused."""
    for data, status in ((STRIP, 200), (b"GIF89a" + bytes(50), 415)):
        if multipart:
            response = await client.post("/predict", files={"file": ("a", data, kind)})
        else:
            response = await client.post("/predict", content=data, headers={"Content-Type": kind})
        assert response.status_code == status


async def test_an_overlay_takes_one_image(client: httpx.AsyncClient) -> None:
    files = [("file", (name, STRIP, "image/png")) for name in ("a", "b")]
    response = await client.post("/overlay", files=files)
    assert response.status_code == 413
    assert "at most 1 file in one request" in response.json()["detail"]
    assert (await client.post("/overlay", content=b"x", headers=PNG)).status_code == 415
