"""What Ray's proxies do besides: a request whose replica dies gets an answer that says so.

Ray by itself cuts the connection. In the environment of every node
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=steel_ray.proxy:middlewares`` puts this in.
"""

import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.error_handlers import respond
from service.errors import UnavailableError

_RETRY_SECONDS = 1


class LostReplica:
    """Answers 503 where nothing was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        await self._app(scope, receive, send_and_see)
        if not started:
            error = UnavailableError(
                "the replica that had this request is gone; send it again", _RETRY_SECONDS
            )
            about = {"path": scope["path"], "state": {"request_id": uuid.uuid4().hex}}
            await respond(error, about)(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Say what a proxy runs in front of Ray's own part."""
    return [Middleware(LostReplica)]
