"""Text files of the page, compressed once for browsers that take gzip."""

import gzip
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
_OK = 200


class CompressedFiles:
    """Answers GET of a text file in gzip where the browser takes it; ``files`` answers the rest."""

    def __init__(self, files: ASGIApp, folder: Path) -> None:
        """Compress the text files of a folder, which do not change while the service runs."""
        self._files = files
        self._compressed = {
            path.relative_to(folder).as_posix(): (
                gzip.compress(path.read_bytes(), mtime=0),
                _MEDIA_TYPES[path.suffix],
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix in _MEDIA_TYPES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        found = self._compressed.get(name)
        if found is None or scope["method"] != "GET" or "range" in headers or not _takes_gzip(headers):
            await self._files(scope, receive, send)
            return
        content, media_type = found
        response = Response(content, _OK, {"content-encoding": "gzip", "vary": "accept-encoding"}, media_type)
        await response(scope, receive, send)


def _takes_gzip(headers: Headers) -> bool:
    """Whether gzip is among the codings of ``Accept-Encoding`` and not refused with ``q=0`` (RFC 9110)."""
    for coding in headers.get("accept-encoding", "").split(","):
        name, _, weight = (part.strip() for part in coding.partition(";"))
        if name.lower() == "gzip":
            return weight.replace(" ", "").rstrip("0").rstrip(".") not in ("q=", "q=0")
    return False
