"""What a refused request took is free when it was answered, whether or not the garbage collector runs."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from python_multipart.multipart import MultipartParser

import service
from service.http.protocol import ConnectionLimits
from tests.hostile.bad_images import STRIP, image_rows
from tests.hostile.bad_requests import INFER, request_rows
from tests.hostile.exchange import failure
from tests.hostile.rows import RAW, Row, request
from tests.support.serving import running_uvicorn

pytestmark = pytest.mark.anyio

PACKAGE = str(Path(service.__file__).parent)
LIMITS = ConnectionLimits(
    max_connections=20, max_head_bytes=32_768, head_seconds=5, body_seconds=5, idle_seconds=5, write_seconds=5
)


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with running_uvicorn(app, LIMITS) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept_places() -> set[str]:
    """Return the places in the service to which tracebacks lead that are still in memory."""
    kept = [each for each in gc.get_objects() if type(each) is TracebackType]
    codes = {(each.tb_frame.f_code, each.tb_lineno) for each in kept}
    return {
        f"{code.co_filename}:{line} in {code.co_name}"
        for code, line in codes
        if code.co_filename.startswith(PACKAGE)
    }


async def send(url: str, rows: list[Row]) -> None:
    wrong = [await asyncio.to_thread(failure, url, row) for row in rows]
    assert set(wrong) == {None}
    await asyncio.sleep(0.1)  # the last connection is closed


@pytest.mark.usefixtures("no_collector")
async def test_no_refusal_keeps_the_frames_that_it_passed(url: str) -> None:
    rows = [row for row in (*image_rows(), *request_rows()) if row.status != 408 and not row.answered_late]
    before = kept_places()
    await send(url, rows)
    assert kept_places() - before == set()


@pytest.mark.usefixtures("no_collector")
async def test_no_file_of_a_form_is_kept(url: str) -> None:
    await send(url, [row for row in request_rows() if row.name.startswith("form, ")])
    parsers = [each for each in gc.get_objects() if issubclass(type(each), MultipartParser)]
    assert [parser.parts for parser in parsers if parser.parts] == []


@pytest.mark.parametrize("name", ["class_threshold", "threshold", "min_area", "mm_per_px", "bits", "profile"])
async def test_a_wrong_parameter_keeps_nothing(url: str, name: str) -> None:
    before = kept_validation_errors()
    body = request(target=f"/predict?{name}=wrong", body=STRIP, headers={"Content-Type": RAW})
    await send(url, [Row(name, body, 422, name)] * 3)
    assert kept_validation_errors() == before


@pytest.mark.parametrize("name", ["class_threshold", "threshold", "min_area", "bits", "profile"])
async def test_a_wrong_parameter_beside_a_tensor_keeps_nothing(url: str, name: str) -> None:
    before = kept_validation_errors()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [""]}
    body = json.dumps({"inputs": [tensor], "parameters": {name: "wrong"}}).encode()
    await send(url, [Row(name, request(target=INFER, body=body), 422, name)] * 3)
    assert kept_validation_errors() == before


def kept_validation_errors() -> int:
    """Return the number of pydantic's errors that the garbage collector cannot free."""
    gc.collect()
    return sum(type(each) is ValidationError for each in gc.get_objects())
