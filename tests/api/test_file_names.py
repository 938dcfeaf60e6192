"""Names of files in forms: any bytes but those that end a header."""

import httpx
import pytest

from tests.support.images import png
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(10, 5, 3, 4)))
FILES = 32
"""STEEL_MAX_FILES"""


def form(names: list[bytes]) -> bytes:
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.replace(b"\\", rb"\\").replace(b'"', rb"\"")
        + b'"\r\n\r\n'
        + STRIP
        + b"\r\n"
        for name in names
    )
    return b"".join(parts) + b"--b--\r\n"


async def test_names_of_every_byte_come_back(client: httpx.AsyncClient) -> None:
    names = [b"a" + bytes([byte]) + b".png" for byte in range(1, 256) if byte not in b"\r"]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for begin in range(0, len(names), FILES):
        some = names[begin : begin + FILES]
        answer = await client.post("/predict?mask_format=none", content=form(some), headers=headers)
        assert answer.status_code == 200, answer.text
        images = answer.json()["images"]
        assert [image["status"] for image in images] == [200] * len(some)
        # Bytes that are not UTF-8 are Latin-1, so that no two names become one.
        assert [image["filename"] for image in images] == [name.decode("latin-1") for name in some]


async def test_a_name_cannot_end_its_header(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post("/predict", content=form([b"a\r.png"]), headers=headers)
    assert answer.status_code == 422
    assert "multipart body cannot be read" in answer.json()["detail"]
