"""A lock on a file, so that two commands do not write it at the same time."""

import errno
from typing import IO

from steel_client.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # on Windows; there the second run is not refused
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""File systems that have no locks."""


def lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed.

    Raises:
        ConfigurationError: if another process holds the lock.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"another command writes to {file.name}; wait for its end, or use another --out"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
