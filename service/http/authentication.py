"""API-key authentication; every path needs a key unless it is listed as open."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import UnauthorizedError
from service.http.api_keys import ApiKeys
from service.http.problem_response import error_response, path_of

KEY_HEADER = "X-API-Key"

_RAW_KEY_HEADER = KEY_HEADER.lower().encode()


class Authentication:
    """ASGI middleware that answers 401 to callers without a valid key, before it reads a body.

    Every path needs a key unless it is listed as open, so that a new route cannot be forgotten, and callers
    without a key do not learn which routes exist.

    Args:
        app: the next application.
        keys: the keys that are valid now; at least one.
        open_paths: need no key; a path that ends in ``/`` covers all paths that begin with it, ``/`` alone
            only itself.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, open_paths: Collection[str]) -> None:
        self._app = app
        self._keys = keys
        self._open_prefixes = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self._open_paths = frozenset(open_paths) - frozenset(self._open_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and not self._is_open(path_of(scope)):
            given = next((value for name, value in scope["headers"] if name == _RAW_KEY_HEADER), b"")
            if not self._keys.accepts(given):
                error = UnauthorizedError(f"{KEY_HEADER} is missing or wrong")
                scope["state"]["error"] = error
                await error_response(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open_paths or path.startswith(self._open_prefixes)
