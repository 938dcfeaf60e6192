"""Middleware of a replica."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME = b"x-request-id"


class DropRequestId:
    """Drops a request's own X-Request-Id from its answer: Ray adds it, too, and callers see it once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        given = Headers(scope=scope).get(_NAME.decode()) if scope["type"] == "http" else None
        if given is None:
            await self._app(scope, receive, send)
            return
        known = (_NAME, given.encode("latin-1"))

        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [header for header in message["headers"] if tuple(header) != known]
            await send(message)

        await self._app(scope, receive, send_without)
