"""``python -m service``: read the settings and serve until told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from service.app import create_app
from service.http.api_keys import ApiKeysError
from service.http.protocol import ConnectionLimits, guarded_protocol
from service.http.tls import TlsError, check_certificate
from service.inference.engine import Engine
from service.observability.logs import configure_logs
from service.settings import Settings, explain

_HANGUP = getattr(signal, "SIGHUP", None)
"""Windows has none."""


def main() -> int:
    """Serve; return the exit code: 0 after a stop that was asked for, 1 if no strips can be answered."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(explain(error), file=sys.stderr)  # noqa: T201  (no log yet)
        return 2
    configure_logs(settings.log_level)
    # Pillow warns of odd files in words taken from them; Python prints those, and keeps each for ever.
    warnings.simplefilter("ignore")
    # uvicorn drains on these signals and raises them again when it is done: that is a normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    if _HANGUP is not None:
        signal.signal(_HANGUP, signal.SIG_IGN)  # until there is something to reload
    try:
        return serve(settings)
    except (ApiKeysError, TlsError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  (as for the other settings)
        return 2


def serve(settings: Settings) -> int:
    """Run uvicorn until a signal, or until the model turns out not to be servable."""
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    if settings.tls_certificate is not None and settings.tls_key is not None:
        check_certificate(settings.tls_certificate, settings.tls_key)
    app = create_app(settings, on_fatal=stop)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            access_log=False,
            server_header=False,
            log_config=None,
            http=guarded_protocol(
                ConnectionLimits(
                    max_connections=settings.max_connections,
                    max_head_bytes=settings.max_head_bytes,
                    head_seconds=settings.head_timeout_s,
                    body_seconds=settings.body_timeout_s,
                    idle_seconds=settings.keep_alive_s,
                ),
                app.state.metrics,
            ),
            ws="none",  # nothing here speaks it
            timeout_keep_alive=settings.keep_alive_s,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
        ),
        app,
    )
    with contextlib.suppress(SystemExit):
        server.run()
    return 1 if failures or not server.started else 0


class _Server(uvicorn.Server):
    """Answers 503 while it drains, before anything is closed; reloads on SIGHUP."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._engine: Engine = app.state.engine
        self._reload: Callable[[], Awaitable[bool]] = app.state.reload
        self._reloads: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, also for SIGHUP."""
        await super().startup(sockets)
        if _HANGUP is not None:
            asyncio.get_running_loop().add_signal_handler(_HANGUP, self._on_hangup)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Turn readiness off as soon as it is asked to stop."""
        self._engine.draining = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was accepted with the socket still open, so that new callers learn why; then close.

        uvicorn closes the socket first, and new callers would be refused without a word.
        """
        self._engine.draining = True
        patience = self.config.timeout_graceful_shutdown or 0
        ends = time.monotonic() + patience
        while self._engine.busy and not self.force_exit and time.monotonic() < ends:  # noqa: ASYNC110  (as uvicorn)
            await asyncio.sleep(0.05)
        self.config.timeout_graceful_shutdown = max(1, round(ends - time.monotonic()))
        await super().shutdown(sockets)

    def _on_hangup(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload_quietly())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_quietly(self) -> None:
        with contextlib.suppress(Exception):  # the log has it
            await self._reload()


def _end(code: int) -> None:
    """Leave without waiting for threads: a model that hangs in one would keep the process for ever."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
