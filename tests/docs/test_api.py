"""docs/api.md lists every route, parameter and error, and the error that it shows is the one returned."""

import io
import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from service import errors
from service.api.parameters import PredictQuery
from service.inference.batcher import Batcher
from tests.support.serving import ROOT

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs" / "api.md").read_text()
NEVER_SENT = {499}
"""Statuses that nobody receives."""


async def wrong_size(client: httpx.AsyncClient, width: int = 800, height: int = 600) -> httpx.Response:
    picture = io.BytesIO()
    Image.new("L", (width, height)).save(picture, "PNG")
    return await client.post("/predict", content=picture.getvalue())


async def test_the_error_is_the_one_returned(client: httpx.AsyncClient) -> None:
    block = re.search(r"```json\n(\{\n  \"type\".*?)```", PAGE, re.DOTALL)
    assert block is not None
    shown = json.loads(block[1])
    response = await wrong_size(client)
    assert response.headers["content-type"] == "application/problem+json"
    real = response.json()
    assert real.keys() == shown.keys()
    assert real | {"request_id": ""} == shown | {"request_id": ""}


async def test_the_messages_of_the_other_pages_are_the_ones_returned(client: httpx.AsyncClient) -> None:
    pages = {name: (ROOT / "docs" / name).read_text() for name in ("operators.md", "open-inference.md")}
    quoted = re.findall(r"^\| \*(.+?)\* \|", pages["operators.md"], re.MULTILINE)
    quoted += re.findall(r"`image\[1\]: (.+?),? …`", pages["open-inference.md"])
    assert len(quoted) == 4
    with ThreadPoolExecutor(1) as threads:
        batcher = Batcher[int, int](list, threads, max_batch_size=1, batch_timeout=0, max_queue_size=1)
        with pytest.raises(errors.QueueFullError) as full:
            batcher.check_room(2, math.inf)
    sizes = [(await wrong_size(client, *size)).json()["detail"] for size in ((800, 600), (256, 1600))]
    sent = [*sizes, full.value.detail]
    for message in quoted:
        assert any(message in one for one in sent), message


def test_every_error_is_listed() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, errors.ServiceError) and kind.status not in NEVER_SENT:
            assert f"| {int(kind.status)} | {kind.title} |" in PAGE, kind
    known = {(str(int(kind.status)), kind.title) for kind in kinds if issubclass(kind, errors.ServiceError)}
    assert set(re.findall(r"^\| (\d{3}) \| ([^|]+?) \|", PAGE, re.MULTILINE)) <= known


def test_every_parameter_is_listed_with_its_default() -> None:
    for name, field in PredictQuery.model_fields.items():
        row = re.search(rf"^\| `{name}` \| (.*?) \|", PAGE, re.MULTILINE)
        assert row is not None, name
        if field.default is not None:
            assert row[1] == f"`{str(field.default).lower()}`"


def test_every_route_is_listed(app: FastAPI) -> None:
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            if not path.startswith("/v2"):
                assert f"`{method.upper()} {path}`" in PAGE


def test_the_image_of_the_examples_is_there() -> None:
    for name in re.findall(r"@(\S+\.png)", PAGE):
        assert Path(ROOT / name).is_file()
