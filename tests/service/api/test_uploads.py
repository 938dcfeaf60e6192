"""Multipart bodies as clients write them, and as they arrive when something cuts or misspells them."""

import httpx
import pytest

from tests.support.images import png
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(10, 5, 3, 4)))
END = b"--zz--\r\n"


def part(number: int, boundary: bytes = b"--zz") -> bytes:
    disposition = b'Content-Disposition: form-data; name="file"; filename="%d.png"' % number
    return boundary + b"\r\n" + disposition + b"\r\nContent-Type: image/png\r\n\r\n" + STRIP + b"\r\n"


async def post(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=zz"}
    return await client.post("/predict?mask_format=none", content=body, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        part(1) + part(2) + END,
        part(1) + part(2) + END + b"an epilogue",
        part(1) + part(2) + END.rstrip(),
    ],
)
async def test_every_file_of_a_whole_body_is_answered(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await post(client, body)
    assert answer.status_code == 200
    assert [image["filename"] for image in answer.json()["images"]] == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (part(1) + part(2), "ends before its closing boundary"),
        (part(1) + part(2)[:-500], "ends before its closing boundary"),
        (part(1) + part(2) + END[:5], "ends before its closing boundary"),
        (part(1), "ends before its closing boundary"),
        (part(1) + part(2, b"--zy") + END, "a boundary is mistyped"),
        (part(1) + part(2, b"--zy") + part(3) + END, "a boundary is mistyped"),
        (part(1) + part(2) + b"--zy--\r\n", "ends before its closing boundary"),
    ],
)
async def test_a_body_that_may_lack_files_is_refused(
    client: httpx.AsyncClient, body: bytes, reason: str
) -> None:
    answer = await post(client, body)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
