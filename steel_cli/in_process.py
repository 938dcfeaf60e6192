"""The service without a server: the same application, called in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from service.app import create_app
from steel_bulk.settings import local_settings
from steel_client.errors import ConfigurationError


@contextlib.asynccontextmanager
async def run_application(model: Path | None) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Run the application until the block ends; yield a transport that calls it.

    Args:
        model: file or folder; None takes it from the settings.

    Raises:
        ConfigurationError: if the settings are wrong, or the model cannot be served.
    """
    failures: list[Exception] = []
    app = create_app(local_settings(model), on_fatal=failures.append)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
            while (await client.get("/health/ready")).status_code != httpx.codes.OK:
                if failures:
                    raise ConfigurationError(f"the model cannot be served: {failures[0]}") from failures[0]
                await asyncio.sleep(0.05)
        yield transport
