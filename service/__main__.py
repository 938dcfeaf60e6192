"""``python -m service``: read the settings and serve until told to stop."""

import signal
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from service.api_keys import ApiKeysError
from service.app import create_app
from service.connections import ConnectionLimits, guarded_protocol
from service.logs import configure_logs
from service.settings import Settings, explain
from service.tls import TlsError, check_certificate


def main() -> int:
    """Serve; return the exit code: 0 after a stop that was asked for, 1 if the model cannot be served."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(explain(error), file=sys.stderr)  # noqa: T201  (no log yet)
        return 2
    configure_logs(settings.log_level)
    # uvicorn drains on these signals and raises them again when it is done: that is a normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
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

    class Server(uvicorn.Server):
        """Turns readiness off as soon as it is asked to stop, before connections are closed."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.engine.draining = True
            super().handle_exit(sig, frame)

    server = Server(
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
                )
            ),
            ws="none",  # nothing here speaks it
            timeout_keep_alive=settings.keep_alive_s,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
        )
    )
    server.run()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
