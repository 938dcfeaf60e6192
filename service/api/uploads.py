"""The image files of a request: parts of ``multipart/form-data`` (RFC 7578), or the body itself."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header
from starlette.requests import Request

from service.errors import (
    InvalidParameterError,
    PayloadTooLargeError,
    ServiceError,
    UnsupportedMediaTypeError,
    counted,
    file_too_large,
)
from service.images.decode import format_of

RAW_TYPES = (
    "image/jpeg",
    "image/png",
    "image/bmp",
    "image/tiff",
    "image/webp",
    "application/octet-stream",
)
_FIELD = "file"
_PART_HEAD = b"\r\nContent-Disposition: form-data;"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits of the files in a request."""

    files: int
    """Most files."""
    file_bytes: int
    """Size of the largest."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request."""

    filename: str | None
    data: bytes


async def read_uploads(request: Request, limits: UploadLimits) -> list[Upload]:
    """Read the files of a request, in order, into memory; ``BodyLimit`` bounds the body as a whole.

    Raises:
        InvalidParameterError: if there is no file, a part of another name, or broken multipart.
        PayloadTooLargeError: if there are too many files, or one is too large, as soon as that is seen.
        UnsupportedMediaTypeError: if the body is of another type.
    """
    content_type = request.headers.get("content-type", RAW_TYPES[-1])
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_multipart(request, content_type, limits)
    if kind in RAW_TYPES or kind.startswith("image/"):  # its first bytes decide
        data = await _read_body(request, limits.file_bytes)
        return [Upload(_header_text(request.headers.get("x-filename")), data)]
    raise UnsupportedMediaTypeError(
        f"expected a body of multipart/form-data with parts named '{_FIELD}', or of one of "
        f"{', '.join(RAW_TYPES)}, got {kind!r} (with curl: -F file=@strip.jpg, or --data-binary @strip.jpg "
        "with -H 'Content-Type: image/jpeg')"
    )


async def _read_body(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise file_too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _header_text(value: str | None) -> str | None:
    """Decode a header as UTF-8; headers arrive as latin-1."""
    return None if value is None else value.encode("latin-1").decode("utf-8", "replace")


async def _read_multipart(request: Request, content_type: str, limits: UploadLimits) -> list[Upload]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _broken("its content type has no boundary")
    try:
        reader = _MultipartReader(boundary, limits)
        try:
            async for chunk in request.stream():
                reader.write(chunk)
        finally:
            # Methods of the reader, which holds them: the files would wait for the garbage collector.
            reader.callbacks = {}
    except FormParserError as error:
        raise _broken(str(error)) from error
    if not reader.parts:
        raise InvalidParameterError(_FIELD, f"expected parts named '{_FIELD}', got none")
    if reader.state != MultipartState.END:
        raise _broken("it ends before its closing boundary, so files may be missing")
    uploads: list[Upload] = []
    for part in reader.parts:
        data = b"".join(part.chunks)
        part.chunks.clear()  # so that no more than one file is in memory twice
        if _PART_HEAD in data:
            raise _broken("a file holds the head of another part, so a boundary is mistyped")
        if part.filename is None and not _is_image(data):
            raise _wrong_part(_FIELD, "text")
        uploads.append(Upload(part.filename or None, data))
    return uploads


def _is_image(data: bytes) -> bool:
    try:
        format_of(data)
    except ServiceError:
        return False
    return True


def _wrong_part(name: str, kind: str) -> InvalidParameterError:
    return InvalidParameterError(
        name, f"expected parts that are files named '{_FIELD}', got {kind} named {name!r}"
    )


def _broken(reason: str) -> InvalidParameterError:
    return InvalidParameterError(_FIELD, f"the multipart body cannot be read: {reason}")


@dataclass(slots=True)
class _Part:
    filename: str | None
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class _MultipartReader(MultipartParser):
    """Collects the files of a multipart body while it arrives; the parser calls the callbacks.

    Names are decoded as UTF-8, or else as latin-1, whatever charset the request names.
    """

    def __init__(self, boundary: bytes, limits: UploadLimits) -> None:
        self.parts: list[_Part] = []
        """Before the end of the body, the last one is incomplete."""
        self._limits = limits
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        super().__init__(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_file,
                "on_part_data": self._add_data,
            },
        )

    def _begin_part(self) -> None:
        self._disposition = b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _begin_file(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise _broken("a part has no name in its Content-Disposition header")
        name, filename = _text(options[b"name"]), options.get(b"filename")
        if name != _FIELD:
            raise _wrong_part(name, "text" if filename is None else "a file")
        self.parts.append(_Part(None if filename is None else _text(filename)))
        if len(self.parts) > self._limits.files:
            raise PayloadTooLargeError(
                f"expected at most {counted(self._limits.files, 'file')} in one request, got more"
            )

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.chunks.append(data[start:end])
        part.size += end - start
        if part.size > self._limits.file_bytes:
            raise file_too_large(self._limits.file_bytes)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
