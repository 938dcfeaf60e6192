"""Files of the pages, whole or in ranges (RFC 9110, section 14)."""

import os
import re
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from service.errors import RangeNotSatisfiableError
from service.http.problem_response import error_response

_RANGE = r"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGES = re.compile(rf"\s*bytes\s*=\s*({_RANGE}(?:\s*,\s*{_RANGE})*)\s*", re.ASCII | re.IGNORECASE)
_SHOWN_CHARACTERS = 80
_UNSATISFIABLE = 416


class RangedFile(FileResponse):
    """Answers a file, or ranges of it.

    Starlette alone refuses a ``Range`` of another unit, which is to be ignored, and refuses in plain text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        given = Headers(scope=scope).get("range")
        if given is not None:
            ranges = _satisfiable(given, self._size())
            headers = [header for header in scope["headers"] if header[0] != b"range"]
            if ranges is not None:
                headers.append((b"range", ranges.encode("ascii")))
            scope = {**scope, "headers": headers}
        refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused
            refused |= message["type"] == "http.response.start" and message["status"] == _UNSATISFIABLE
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_unless_refused)
        if refused and given is not None:
            error = RangeNotSatisfiableError(
                f"expected a range of a file of {self._size()} bytes, got {given[:_SHOWN_CHARACTERS]!r}",
                self._size(),
            )
            scope["state"]["error"] = error
            await error_response(error, scope)(scope, receive, send)

    def _size(self) -> int:
        return int(self.headers["content-length"])


class RangedFiles(StaticFiles):
    """Answers the files of a folder, or ranges of them."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer a file, or that it has not changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if not isinstance(response, FileResponse):
            return response
        return RangedFile(full_path, status_code, stat_result=stat_result)


def ranged_file(path: Path, headers: dict[str, str]) -> RangedFile:
    """Answer a file with headers."""
    return RangedFile(path, headers=headers, stat_result=path.stat())


def _satisfiable(header: str, size: int) -> str | None:
    """Return a ``Range`` header without the ranges that a file does not have, unless it has none of them.

    Returns:
        None if the header is to be ignored: of another unit, or invalid.
    """
    match = _RANGES.fullmatch(header)
    if match is None:
        return None
    ranges = [one.strip() for one in match[1].split(",")]
    kept = []
    for one in ranges:
        first, _, last = one.partition("-")
        if first and last and int(last) < int(first):
            return None
        if (int(first) < size) if first else int(last):
            kept.append(one)
    return f"bytes={','.join(kept or ranges)}"
