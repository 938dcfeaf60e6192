"""The command ``steel`` in this process, and a service that can be away."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from steel_cli import connect
from steel_cli.__main__ import main
from steel_client import AsyncSteelClient
from tests.support.serving import running_app


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Steel:
    """The command, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(
        self,
        *arguments: object,
        model: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        with self._monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["steel", *map(str, arguments)])
            if model is not None:
                patch.setenv("STEEL_MODEL", str(model))
                patch.setenv("STEEL_DEVICE", "cpu")
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        output = self._capsys.readouterr()
        return Done(int(ended.value.code or 0), output.out, output.err)


@pytest.fixture
def steel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Steel:
    return Steel(monkeypatch, capsys)


class Service(httpx.AsyncBaseTransport):
    """The application behind a proxy that answers in its place while it is away."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app)
        self.away: int | Exception | None = None
        """Status or error of every request; None while the application answers."""
        self.failing: dict[str, int] = {}
        """Status of the strips with these names."""
        self.received: list[tuple[str, bytes]] = []
        """Names and contents that the application has answered."""
        self.refused = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.headers.get("X-Filename", "")
        status = self.failing.get(name, self.away)
        if status is not None:
            self.refused += 1
        if isinstance(status, Exception):
            raise status
        if status is not None:
            return httpx.Response(status, json={"title": "Away", "detail": "for a while"})
        if request.url.path == "/predict":
            self.received.append((name, await request.aread()))
        return await self._transport.handle_async_request(request)


@pytest.fixture
async def service(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """Return the service that commands with ``--server`` talk to."""
    service = Service(app)
    monkeypatch.setattr(connect, "AsyncSteelClient", partial(AsyncSteelClient, transport=service))
    async with running_app(app):
        yield service
