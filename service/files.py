"""Files that are written whole or not at all, and locks on them."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows; there a second command is not kept out
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""File systems that have no locks."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside a file, which takes the file's place at the end; after an error nothing changed.

    Of two processes that write it at once the last one counts, whole.

    Raises:
        OSError: of the file system, about ``path``.
    """
    # The name itself, with more behind it, may be too long.
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    unfinished = path.with_name(f".{name}.{os.getpid()}.unfinished")
    try:
        with about(path):
            yield unfinished
            unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Add a file's name to errors of the system that name none, as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def lock(descriptor: int) -> None:
    """Lock an open file or folder until it is closed.

    Raises:
        BlockingIOError: if another process holds the lock.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        BlockingIOError: if another process holds it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)
