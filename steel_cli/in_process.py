"""The service without a server: the same application, called in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from service.app import create_app
from service.settings import Settings
from steel_client.errors import SteelError


@contextlib.asynccontextmanager
async def application(model: Path | None) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Run the application as long as the block lasts; give the transport that reaches it.

    Args:
        model: file or folder; None takes what the settings say.

    Raises:
        SteelError: if the model cannot be served.
    """
    failed: list[Exception] = []
    settings = Settings() if model is None else Settings(model=model)
    app = create_app(settings, on_fatal=failed.append)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
            while (await client.get("/health/ready")).status_code != httpx.codes.OK:
                if failed:
                    raise SteelError(f"the model cannot be served: {failed[0]}") from failed[0]
                await asyncio.sleep(0.05)
        yield transport
