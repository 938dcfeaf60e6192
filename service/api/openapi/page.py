"""The OpenAPI document and its page, Swagger UI, under a policy that allows no other script."""

import base64
import functools
import hashlib
import json
import re
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from service.http.files import RangedFiles

DOCS_PATHS = ("/docs", "/openapi.json", "/docs-static/")
"""Paths of the page and its files; one that ends in a slash is a folder."""

_PARAMETERS = {"displayRequestDuration": True, "defaultModelsExpandDepth": 0}


def add_docs_page(app: FastAPI) -> None:
    """Add ``/openapi.json``, ``/docs`` and its static files."""

    @functools.cache
    def document() -> bytes:
        """Write the document once: FastAPI does so for each request, which takes longer than a strip."""
        return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    async def openapi(_request: Request) -> Response:
        return Response(document(), media_type="application/json")

    app.add_route("/openapi.json", openapi, include_in_schema=False)
    # Relative, so that the page also works behind a proxy that adds a path prefix.
    page = get_swagger_ui_html(
        title=app.title,
        openapi_url="openapi.json",
        swagger_js_url="docs-static/swagger-ui-bundle.js",
        swagger_css_url="docs-static/swagger-ui.css",
        swagger_favicon_url="docs-static/favicon.png",
        swagger_ui_parameters=_PARAMETERS,
    )
    html = bytes(page.body)
    headers = {"Content-Security-Policy": _policy(html)}

    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    app.add_api_route("/docs", docs, include_in_schema=False)
    folder = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/docs-static", RangedFiles(directory=folder), name="docs-static")


def _policy(html: bytes) -> str:
    """Return a policy that allows the page's files, the script in it, and images that it makes itself."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)
    ]
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
