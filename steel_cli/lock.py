"""A lock on a file, so that two commands do not write it at the same time."""

from typing import IO

from service import files
from steel_client.errors import ConfigurationError


def lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed.

    Raises:
        ConfigurationError: if another process holds the lock.
    """
    try:
        files.lock(file.fileno())
    except BlockingIOError as error:
        raise ConfigurationError(
            f"another command writes to {file.name}; wait for its end, or use another --out"
        ) from error
