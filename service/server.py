"""uvicorn with our HTTP protocol: drains before it closes, reloads on SIGHUP, ends with its terminal."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.http.listen import EVERYWHERE, listen, url_of
from service.http.protocol import ConnectionLimits, guarded_protocol
from service.http.tls import check_certificate
from service.inference.engine import Engine
from service.settings import Settings
from service.terminal import HANGUP, Terminal

_log = structlog.get_logger()
_ANSWER_SECONDS, _LIFESPAN_SECONDS = 0.2, 2.0
"""Time for accepted requests to be answered with 503, and for the engine to close, after a second signal."""


def serve(settings: Settings, terminal: Terminal) -> int:
    """Serve until a signal stops the process, its terminal is closed, or the model can no longer answer.

    Returns:
        The exit code: 0 after a signal, 1 if strips cannot be answered.

    Raises:
        ApiKeysError, TlsError: if keys or certificate cannot be used.
        ListenError: if nothing can listen at the address or the port.
    """
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    if settings.tls_certificate is not None and settings.tls_key is not None:
        check_certificate(settings.tls_certificate, settings.tls_key)
    app = create_app(settings, on_fatal=stop)
    server = Server(
        uvicorn.Config(
            app,
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
                    write_seconds=settings.write_timeout_s,
                ),
                app.state.metrics,
            ),
            ws="none",
            timeout_keep_alive=settings.keep_alive_s,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
        ),
        app,
        terminal,
    )
    with contextlib.ExitStack() as stack:
        # Before anything starts: what follows a refusal would hide it.
        sockets = [stack.enter_context(one) for one in listen(settings.host, settings.port)]
        with contextlib.suppress(SystemExit):
            server.run(sockets)
    if failures:
        _log.error("the service has ended", reason=str(failures[0]))
    return 1 if failures or not server.started else 0


class Server(uvicorn.Server):
    """Answers 503 while it drains, before anything is closed; reloads on SIGHUP.

    Args:
        config: of uvicorn.
        app: the application.
        terminal: that SIGHUP may be about.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, terminal: Terminal) -> None:
        super().__init__(config)
        self._settings: Settings = app.state.settings
        self._terminal = terminal
        self._engine: Engine = app.state.engine
        self._reload: Callable[[], Awaitable[bool]] = app.state.reload
        self._reloads: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, for SIGHUP as well."""
        await super().startup(sockets)
        if sockets and not self.should_exit:  # the model may have been refused meanwhile
            self._log_address(sockets[0].getsockname()[1])
        if HANGUP is not None:
            asyncio.get_running_loop().add_signal_handler(HANGUP, self._on_hangup)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Turn readiness off as soon as a signal requests a stop."""
        self._engine.draining = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish accepted requests with the socket still open, so that new callers get a 503; then close.

        uvicorn alone closes the socket first, which refuses new callers without a reason.
        """
        self._engine.draining = True
        ends = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        while self._engine.busy and not self.force_exit and time.monotonic() < ends:  # noqa: ASYNC110  (as uvicorn)
            await asyncio.sleep(0.05)
        self.config.timeout_graceful_shutdown = max(1, round(ends - time.monotonic()))
        await super().shutdown(sockets)
        if self.force_exit:  # a second signal
            self._engine.abandon()
            await asyncio.sleep(_ANSWER_SECONDS)
            with contextlib.suppress(TimeoutError):  # uvicorn would cancel it, and log a traceback
                async with asyncio.timeout(_LIFESPAN_SECONDS):
                    await self.lifespan.shutdown()

    def _log_address(self, port: int) -> None:
        settings = self._settings
        tls = settings.tls_certificate is not None
        url = url_of(settings.host, port, tls=tls)
        near = url_of("localhost", port, tls=tls) if settings.host in EVERYWHERE else url
        links = {"page": f"{near}/"} if settings.page == "open" else {}
        if settings.docs == "open":
            links["api"] = f"{near}/docs"
        _log.info(
            f"Uvicorn running on {url_of(settings.host, port, tls=tls)} (Press CTRL+C to quit)", **links
        )

    def _on_hangup(self) -> None:
        if self._terminal.gone:
            self.handle_exit(signal.SIGTERM, None)
            return
        task = asyncio.get_running_loop().create_task(self._reload_logged())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_logged(self) -> None:
        with contextlib.suppress(Exception):  # Engine.reload logs it
            await self._reload()
