"""``python -m service``: read the settings and serve until a signal stops the process."""

import contextlib
import os
import signal
import sys
import warnings

from service import __version__
from service.http.api_keys import ApiKeysError
from service.http.listen import ListenError
from service.http.tls import TlsError
from service.observability.logs import configure_logs
from service.server import serve
from service.settings import SettingsError, read_settings
from service.terminal import HANGUP, Terminal


def main() -> int:
    """Serve.

    Returns:
        The exit code: 0 after a signal, 1 if strips cannot be answered or the port is in use, 2 for wrong
        settings.
    """
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(__version__)  # noqa: T201  (the answer)
        return 0
    if arguments:
        advice = "settings are variables such as STEEL_PORT=8080 (docs/settings.md)"
        return _failed(f"error: expected no arguments, got {arguments[0]!r}; {advice}", 2)
    try:
        settings = read_settings()
    except SettingsError as error:
        return _failed(str(error), 2)
    configure_logs(settings.log_level)
    # Pillow's warnings quote the files that cause them; Python prints each, and never frees it.
    warnings.simplefilter("ignore")
    # uvicorn drains on these signals and raises them again when it is done, which is a normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    terminal = Terminal()
    if HANGUP is not None:  # until there is something to reload
        signal.signal(HANGUP, lambda *_: sys.exit(0) if terminal.gone else None)
    try:
        return serve(settings, terminal)
    except (ApiKeysError, TlsError) as error:
        return _failed(f"error: {error}", 2)
    except ListenError as error:
        return _failed(f"error: {error}", 1)


def _failed(message: str, code: int) -> int:
    """Say why there is no service; the log may have a form that nobody reads on a terminal."""
    print(message, file=sys.stderr)  # noqa: T201
    return code


def _end(code: int) -> None:
    """Exit without waiting for threads: a model that hangs in one would keep the process alive."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
