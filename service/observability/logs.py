"""Structured logs on standard output: JSON lines for machines, colours on a terminal."""

import contextlib
import io
import json
import logging
import os
import select
import stat
import sys
from typing import Any, TextIO, cast

import structlog


class _Lossy(io.TextIOBase):
    """Writes to a stream while it accepts text, and loses the rest.

    A full disk, a closed pipe or one that is not read must not stop serving: a write to a full pipe would
    block the event loop.

    Args:
        stream: to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _pipe_of(stream)
        self._lost = 0

    def write(self, text: str) -> int:
        """Write, or lose the text."""
        with contextlib.suppress(OSError, ValueError):
            if self._descriptor is None:
                self._stream.write(text)
            else:
                self._write_to_pipe(self._descriptor, text)
        return len(text)

    def flush(self) -> None:
        """Flush, or lose what was not written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def _write_to_pipe(self, descriptor: int, text: str) -> None:
        if self._lost and _accepts(descriptor):
            note = {
                "event": "log lines were lost: the pipe was full",
                "level": "warning",
                "count": self._lost,
            }
            os.write(descriptor, json.dumps(note).encode() + b"\n")
            self._lost = 0
        data = text.encode("utf-8", "backslashreplace")
        for start in range(0, len(data), select.PIPE_BUF):
            if not _accepts(descriptor):
                self._lost += 1
                return
            os.write(descriptor, data[start : start + select.PIPE_BUF])


def _pipe_of(stream: TextIO) -> int | None:
    """Return the descriptor of a stream that is a pipe, else None."""
    try:
        descriptor = stream.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None


def _accepts(descriptor: int) -> bool:
    """Return whether a pipe takes PIPE_BUF bytes without blocking (POSIX, ``poll`` and ``write``)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


def configure_logs(level: str) -> None:
    """Send structlog, and the standard library's loggers, to standard output.

    JSON and repr escape control characters, so that a path in a log line cannot forge another line.
    Tracebacks show no local variables: these hold images and keys.
    """
    terminal = sys.stdout.isatty()
    output = _Lossy(sys.stdout)
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
