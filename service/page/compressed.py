"""Text files of the page, compressed once for browsers that take gzip."""

import gzip
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
}


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
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        answer = self.response(name, Request(scope), {}) or self._files
        await answer(scope, receive, send)

    def response(self, name: str, request: Request, headers: dict[str, str]) -> Response | None:
        """Return a file in gzip with these headers; None where it is not text, or not asked for so."""
        found = self._compressed.get(name)
        if found is None or request.method != "GET" or "range" in request.headers:
            return None
        if not _takes_gzip(request.headers):
            return None
        content, media_type = found
        coded = {**headers, "content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(content, headers=coded, media_type=media_type)


def _takes_gzip(headers: Headers) -> bool:
    """Whether gzip is among the codings of ``Accept-Encoding`` and not refused with ``q=0`` (RFC 9110)."""
    for coding in headers.get("accept-encoding", "").split(","):
        name, _, weight = (part.strip() for part in coding.partition(";"))
        if name.lower() == "gzip":
            return weight.replace(" ", "").rstrip("0").rstrip(".") not in ("q=", "q=0")
    return False
