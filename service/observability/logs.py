"""Structured logs on standard output: JSON lines for machines, colours on a terminal."""

import contextlib
import io
import logging
import sys
from typing import Any, TextIO, cast

import structlog


class _Unbreakable(io.TextIOBase):
    """Writes to a stream and ignores its errors: a full disk or a closed pipe must not stop the service.

    Args:
        stream: what to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or drop it."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop the rest."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure_logs(level: str) -> None:
    """Send structlog, and the standard library's loggers, to standard output.

    JSON and repr escape control characters, so that a path in a log line cannot forge another line.
    Tracebacks show no local variables: these hold images and keys.
    """
    terminal = sys.stdout.isatty()
    output = _Unbreakable(sys.stdout)
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Any] = (
        [
            structlog.dev.ConsoleRenderer(
                repr_native_str=True, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, output)),
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("PIL", "python_multipart"):
        # They log every broken file, as the request's own line does already; at level debug, Pillow also logs
        # the metadata of images, such as their author and subject.
        logging.getLogger(name).setLevel(logging.CRITICAL)
