"""Structured logs on standard output: JSON lines for machines, colours on a terminal."""

import logging
import sys
from typing import Any

import structlog


def configure_logs(level: str) -> None:
    """Send structlog, and the standard library's loggers, to standard output.

    JSON and repr escape control characters, so that a path in a log line cannot forge another line.
    Tracebacks show no local variables: these hold images and keys.
    """
    terminal = sys.stdout.isatty()
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
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # At the level debug Pillow tells what is written inside an image: who took it, and of what.
    logging.getLogger("PIL").setLevel(logging.INFO)
