"""Image files of a request: multipart bodies whole, cut or misspelt, and bodies that are the file itself."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from service.api.uploads import Upload, UploadLimits, read_uploads
from service.errors import (
    InvalidParameterError,
    PayloadTooLargeError,
    ServiceError,
    UnsupportedMediaTypeError,
)
from tests.support.images import png
from tests.support.tiny_model import block_strip

LIMITS = UploadLimits(files=2, file_bytes=1000)
END = b"--b--\r\n"
FORM = "multipart/form-data; boundary=b"


def part(content: bytes = b"abc", disposition: str = 'form-data; name="file"; filename="a.png"') -> bytes:
    return b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


class Body:
    """A body that arrives in pieces; counts those that were read."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._pieces = self._arrive(pieces, ends)
        self.read = 0

    async def _arrive(self, pieces: tuple[bytes, ...], ends: bool) -> AsyncIterator[Message]:
        for piece in pieces:
            self.read += 1
            yield {"type": "http.request", "body": piece, "more_body": True}
        yield {"type": "http.request"} if ends else {"type": "http.disconnect"}

    async def receive(self) -> Message:
        return await anext(self._pieces)


def uploads(body: Body | bytes, content_type: str | None = FORM, **headers: str) -> list[Upload]:
    """Read a request, its body in one piece unless it is a ``Body``."""
    body = Body(body) if isinstance(body, bytes) else body
    fields = {"content-type": content_type} if content_type is not None else {}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in fields.items()]}
    return asyncio.run(read_uploads(Request(scope, body.receive), LIMITS))


@given(
    st.integers(1, 80), st.binary(max_size=60), st.sampled_from([b"", b"\r\n--", b"\r\n--b", b"\r\n--b-\r\n"])
)
def test_pieces_of_any_size_give_the_same_files(size: int, content: bytes, almost: bytes) -> None:
    assume(b"\r\nContent-Disposition: form-data;" not in content)  # refused, as of a mistyped boundary
    files = [content.replace(b"\r\n--b", b"") + almost + b"x", b""]
    body = b"\r\n" + b"".join(map(part, files)) + END + b"an epilogue"
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert uploads(Body(*pieces)) == [Upload("a.png", content) for content in files]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="a b.png"', "a b.png"),
        ('form-data; name="file"; filename=""', None),
        ("form-data; name=file; filename=a.png", "a.png"),
        ('form-data; name="file"; filename="Blech-Süd.png"', "Blech-Süd.png"),
        ('form-data; name="file"; filename="plain"; filename*=UTF-8\'\'other', "plain"),
    ],
)
def test_file_names(disposition: str, name: str | None) -> None:
    assert uploads(part(b"x", disposition) + END) == [Upload(name, b"x")]


def test_a_file_name_that_is_not_utf_8_is_latin_1() -> None:
    body = part().replace(b"a.png", "Süd.png".encode("latin-1")) + END
    assert uploads(body)[0].filename == "Süd.png"


def test_headers_in_any_case_and_other_headers() -> None:
    body = part().replace(b"Content-Disposition", b"Content-Type: image/png\r\ncontent-DISPOSITION")
    assert uploads(body + END) == [Upload("a.png", b"abc")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "expected parts named 'file', got none"),
        (END, "expected parts named 'file', got none"),
        (b"--b\r\nContent-Dis", "expected parts named 'file', got none"),
        (part(), "ends before its closing boundary"),
        (part() + b"--b\r\n", "ends before its closing boundary"),
        (part() + b"--b-", "ends before its closing boundary"),
        (part() + part()[:-9], "ends before its closing boundary"),
        (part(disposition="form-data") + END, "no name in its Content-Disposition"),
        (b"--b\r\n\r\nabc\r\n" + END, "no name in its Content-Disposition"),
        (b"--c\r\n", "cannot be read"),
        (b"--b\r\nno header\r\n\r\n" + END, "cannot be read"),
    ],
)
def test_broken_multipart_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidParameterError, match=reason) as caught:
        uploads(body)
    assert caught.value.name == "file"


@pytest.mark.parametrize(
    ("disposition", "reason"),
    [
        ('form-data; name="image"', "got text named 'image'"),
        ('form-data; name="image"; filename="a"', "got a file named 'image'"),
    ],
)
def test_other_parts_are_refused_before_their_content_is_read(disposition: str, reason: str) -> None:
    body = Body(part(b"", disposition), b"never read", ends=False)
    with pytest.raises(InvalidParameterError, match=reason):
        uploads(body)
    assert body.read == 1


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "MULTIPART/Form-Data"]
)
def test_multipart_needs_a_boundary(kind: str) -> None:
    with pytest.raises(InvalidParameterError, match="no boundary"):
        uploads(part() + END, kind)


def test_a_boundary_may_be_quoted_but_not_endless() -> None:
    assert uploads(part() + END, 'Multipart/Form-Data; charset=utf-7; boundary="b"') == [
        Upload("a.png", b"abc")
    ]
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        uploads(part() + END, f"multipart/form-data; boundary={'b' * 999}")


def test_a_file_may_have_the_limit_and_no_byte_more() -> None:
    assert uploads(part(b"x" * 1000) + END) == [Upload("a.png", b"x" * 1000)]
    assert uploads(b"x" * 1000, "image/png") == [Upload(None, b"x" * 1000)]
    for first, kind in ((part(b"x" * 999), FORM), (b"x" * 999, "image/png")):
        body = Body(first[:-2] if kind == FORM else first, b"xx", b"never read", ends=False)
        with pytest.raises(PayloadTooLargeError, match="at most 1000 bytes"):
            uploads(body, kind)
        assert body.read == 2


def test_a_request_may_hold_the_limit_of_files_and_no_more() -> None:
    assert len(uploads(2 * part() + END)) == 2
    body = Body(3 * part(), b"never read", ends=False)
    with pytest.raises(PayloadTooLargeError, match="at most 2 files"):
        uploads(body)
    assert body.read == 1


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "image/jpeg", "Image/PNG; q=1"])
def test_the_body_itself_may_be_the_file(kind: str | None) -> None:
    assert uploads(Body(b"ab", b"", b"c"), kind, x_filename="Süd.png") == [Upload("Süd.png", b"abc")]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/mixed; boundary=b", ";;="])
def test_other_types_are_refused(kind: str) -> None:
    body = Body(b"never read")
    with pytest.raises(UnsupportedMediaTypeError, match=f"got '{kind.partition(';')[0]}'"):
        uploads(body, kind)
    assert body.read == 0


@pytest.mark.parametrize("kind", [FORM, "image/png"])
def test_a_client_that_leaves_is_noticed(kind: str) -> None:
    with pytest.raises(ClientDisconnect):
        uploads(Body(part(), ends=False), kind)


@given(st.lists(st.binary(max_size=40), max_size=8), st.text(max_size=20))
def test_any_bytes_give_files_or_our_own_error(pieces: list[bytes], parameter: str) -> None:
    kind = f"multipart/form-data; boundary=b; {parameter}".encode("ascii", "replace").decode()
    body = b"--b\r\n".join(pieces) + END
    try:
        uploads(body, kind)
    except ServiceError:
        return


STRIP = png(block_strip(c1=(10, 5, 3, 4)))
WHOLE_END = b"--zz--\r\n"


def strip_part(number: int, boundary: bytes = b"--zz") -> bytes:
    disposition = b'Content-Disposition: form-data; name="file"; filename="%d.png"' % number
    return boundary + b"\r\n" + disposition + b"\r\nContent-Type: image/png\r\n\r\n" + STRIP + b"\r\n"


async def post(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=zz"}
    return await client.post("/predict?mask_format=none", content=body, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        strip_part(1) + strip_part(2) + WHOLE_END,
        strip_part(1) + strip_part(2) + WHOLE_END + b"an epilogue",
        strip_part(1) + strip_part(2) + WHOLE_END.rstrip(),
    ],
)
@pytest.mark.anyio
async def test_every_file_of_a_whole_body_is_answered(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await post(client, body)
    assert answer.status_code == 200
    assert [image["filename"] for image in answer.json()["images"]] == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (strip_part(1) + strip_part(2), "ends before its closing boundary"),
        (strip_part(1) + strip_part(2)[:-500], "ends before its closing boundary"),
        (strip_part(1) + strip_part(2) + WHOLE_END[:5], "ends before its closing boundary"),
        (strip_part(1), "ends before its closing boundary"),
        (strip_part(1) + strip_part(2, b"--zy") + WHOLE_END, "a boundary is mistyped"),
        (strip_part(1) + strip_part(2, b"--zy") + strip_part(3) + WHOLE_END, "a boundary is mistyped"),
        (strip_part(1) + strip_part(2) + b"--zy--\r\n", "ends before its closing boundary"),
    ],
)
@pytest.mark.anyio
async def test_a_body_that_may_lack_files_is_refused(
    client: httpx.AsyncClient, body: bytes, reason: str
) -> None:
    answer = await post(client, body)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


def test_an_image_in_a_part_without_a_file_name_is_a_file() -> None:
    small = b"\xff\xd8\xff and more"
    assert uploads(part(small, 'form-data; name="file"') + END) == [Upload(None, small)]
    with pytest.raises(InvalidParameterError, match="got text named 'file'"):
        uploads(part(b"hello", 'form-data; name="file"') + END)


@pytest.mark.parametrize(
    "kind", ["image/jpg", "image/pjpeg", "image/x-png", "image/tif", "image/x-ms-bmp", "IMAGE/JPEG; q=1"]
)
def test_a_body_of_any_image_type_is_a_file(kind: str) -> None:
    assert uploads(b"abc", kind) == [Upload(None, b"abc")]


def test_curls_own_content_type_is_refused_with_the_right_one() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="-H 'Content-Type: image/jpeg'"):
        uploads(b"abc", "application/x-www-form-urlencoded")
