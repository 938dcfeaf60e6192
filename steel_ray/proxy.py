"""What Ray's HTTP servers lack, its proxies' and, behind HAProxy, its replicas'.

A request whose replica dies is answered with 503; Ray alone cuts the connection. The environment of every
node needs ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=steel_ray.proxy:middlewares``.
"""

import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from service.errors import UnavailableError
from service.http.problem_response import error_response
from service.http.upgrade import IgnoringUpgrade

_RETRY_SECONDS = 1


class LostReplica:
    """Answers 503 if the application sent nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_record(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        await self._app(scope, receive, send_and_record)
        if not started:
            error = UnavailableError(
                "the replica that had this request is gone; send it again", _RETRY_SECONDS
            )
            request = {"path": scope["path"], "state": {"request_id": uuid.uuid4().hex}}
            await error_response(error, request)(scope, receive, send)


def ignore_upgrades() -> None:
    """Make the servers that Ray starts in this process read requests that offer another protocol.

    Ray leaves the choice of the protocol's class to uvicorn, which loses the bodies of such requests.
    """
    HTTP_PROTOCOLS["auto"] = f"{IgnoringUpgrade.__module__}:{IgnoringUpgrade.__name__}"


def middlewares() -> list[Middleware]:
    """Return the middleware that a proxy runs before Ray's own application; a proxy calls it as it starts."""
    ignore_upgrades()
    return [Middleware(LostReplica)]
