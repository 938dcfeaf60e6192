"""``python -m service``: read the settings and serve until a signal stops the process."""

import contextlib
import os
import signal
import sys
import warnings

from pydantic import ValidationError

from service.http.api_keys import ApiKeysError
from service.http.tls import TlsError
from service.observability.logs import configure_logs
from service.server import HANGUP, serve
from service.settings import Settings, explain, explain_unknown


def main() -> int:
    """Serve; return the exit code: 0 after a signal, 1 if strips cannot be answered, 2 for wrong settings."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(explain(error), file=sys.stderr)  # noqa: T201  (there is no log yet)
        return 2
    unknown = explain_unknown(os.environ)
    if unknown:
        print(unknown, file=sys.stderr)  # noqa: T201  (there is no log yet)
        return 2
    configure_logs(settings.log_level)
    # Pillow's warnings quote the files that cause them; Python prints each, and never frees it.
    warnings.simplefilter("ignore")
    # uvicorn drains on these signals and raises them again when it is done, which is a normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN)  # until there is something to reload
    try:
        return serve(settings)
    except (ApiKeysError, TlsError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  (as for the other settings)
        return 2


def _end(code: int) -> None:
    """Exit without waiting for threads: a model that hangs in one would keep the process alive."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
