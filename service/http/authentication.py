"""Who may come in: whoever shows a key, and anyone on the few paths that are open."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.error_handlers import respond
from service.errors import UnauthorizedError
from service.http.api_keys import ApiKeys

KEY_HEADER = "X-API-Key"

_RAW_KEY_HEADER = KEY_HEADER.lower().encode()


class Access:
    """Answers 401 to callers without a valid key, before anything is read, looked up or queued for them.

    Every path wants a key unless it is named as open, so that a new route cannot be forgotten and an unknown
    caller does not learn which routes there are.

    Args:
        app: what comes behind.
        keys: the keys that are valid now.
        open_paths: want no key; one that ends in ``/`` stands for all that begins with it, ``/`` itself for
            itself alone.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, open_paths: Collection[str]) -> None:
        self._app = app
        self._keys = keys
        self._open_prefixes = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self._open_paths = frozenset(open_paths) - frozenset(self._open_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and self._keys.required and not self._is_open(scope["path"]):
            given = next((value for name, value in scope["headers"] if name == _RAW_KEY_HEADER), b"")
            if not self._keys.accepts(given):
                error = UnauthorizedError(f"{KEY_HEADER} is missing or wrong")
                scope["state"]["error"] = error
                await respond(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open_paths or path.startswith(self._open_prefixes)
