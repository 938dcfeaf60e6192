"""The page at ``/``: verdicts, masks and thresholds; all its files come from this server."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from service.http.files import RangedFiles, ranged_file
from service.page.compressed import CompressedFiles

PAGE_PATHS = ("/", "/page/")
"""Paths of the page. Its requests for predictions need a key as those of other callers do."""

_FOLDER = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_operator_page(app: FastAPI) -> None:
    """Add ``/`` and the files that it loads."""

    async def page(request: Request) -> Response:
        headers = {"Content-Security-Policy": _POLICY}
        small = compressed.response("index.html", request, headers)
        return small or ranged_file(_FOLDER / "index.html", headers)

    compressed = CompressedFiles(RangedFiles(directory=_FOLDER), _FOLDER)
    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/page", compressed, name="page")
