"""The files of a request: multipart, or the image itself as the body."""

import re
from dataclasses import dataclass

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.errors import InvalidParameterError, PayloadTooLargeError, UnsupportedMediaTypeError

RAW_TYPES = (
    "image/jpeg",
    "image/png",
    "image/bmp",
    "image/tiff",
    "image/webp",
    "application/octet-stream",
)
_FIELD = "file"
_CHARSET = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)
"""Names are read as UTF-8, whatever else the caller announces: some charsets raise, or make surrogates."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as it came."""

    filename: str | None
    data: bytes


async def read_uploads(
    request: Request, *, max_files: int, max_file_bytes: int, max_bytes: int
) -> list[Upload]:
    """Read the files of a request, in order; they stay in memory.

    Raises:
        InvalidParameterError: if there is no file, a part of another name, or broken multipart.
        PayloadTooLargeError: if there are too many files, or one is too large, as soon as that is seen
            (the body as a whole is limited by BodyLimit).
        UnsupportedMediaTypeError: if the body is of a type that is not read.
    """
    content_type = request.headers.get("content-type", RAW_TYPES[-1])
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_multipart(request, max_files, max_file_bytes, max_bytes)
    if kind in RAW_TYPES:
        return [Upload(_header_text(request.headers.get("x-filename")), await _body(request, max_file_bytes))]
    raise UnsupportedMediaTypeError(
        f"the body is {kind!r}; multipart/form-data with parts named '{_FIELD}', or one of "
        f"{', '.join(RAW_TYPES)} is wanted (with curl: -F file=@strip.jpg)"
    )


async def _body(request: Request, max_file_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_file_bytes:
            raise file_too_large(max_file_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def file_too_large(max_file_bytes: int) -> PayloadTooLargeError:
    """Refuse a file for its size."""
    return PayloadTooLargeError(f"a file has more than {max_file_bytes} bytes, the most taken for an image")


def _header_text(value: str | None) -> str | None:
    """Read a header as UTF-8 if it is that; headers arrive as latin-1."""
    if value is None:
        return None
    return value.encode("latin-1").decode("utf-8", "replace")


class _InMemoryParser(MultiPartParser):
    """Starlette's parser with files that never go to disk, of limited size, closed whatever happens."""

    max_file_bytes = 0
    _part_bytes = 0

    def on_part_begin(self) -> None:
        self._part_bytes = 0
        super().on_part_begin()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part_bytes += end - start
        if self._part_bytes > self.max_file_bytes:
            raise file_too_large(self.max_file_bytes)
        super().on_part_data(data, start, end)

    async def parse(self) -> FormData:
        try:
            return await super().parse()
        except BaseException:
            # Starlette does this for its own errors, but not when the body ends in one of ours.
            for file in self._files_to_close_on_error:
                file.close()
            raise


async def _read_multipart(
    request: Request, max_files: int, max_file_bytes: int, max_bytes: int
) -> list[Upload]:
    headers = Headers({"content-type": _CHARSET.sub("", request.headers["content-type"])})
    parser = _InMemoryParser(headers, request.stream(), max_files=max_files, max_fields=max_files)
    parser.spool_max_size = max_bytes  # BodyLimit bounds what is held
    parser.max_file_bytes = max_file_bytes
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            raise PayloadTooLargeError(f"at most {max_files} files are taken in one request") from error
        raise InvalidParameterError(_FIELD, f"the multipart body cannot be read: {error.message}") from error
    try:
        uploads = [await _upload(name, part) for name, part in form.multi_items()]
    finally:
        await form.close()
    if not uploads:
        raise InvalidParameterError(_FIELD, f"the request holds no part named '{_FIELD}'")
    return uploads


async def _upload(name: str, part: UploadFile | str) -> Upload:
    name = name.encode("utf-8", "replace").decode()
    if name != _FIELD or not isinstance(part, UploadFile):
        what = "a file" if isinstance(part, UploadFile) else "text"
        raise InvalidParameterError(name, f"parts are files named '{_FIELD}'; got {what} named {name!r}")
    return Upload(part.filename or None, await part.read())
