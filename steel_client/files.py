"""Many files at a time, with bounded concurrency."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from steel_client.errors import SteelError, UnreadableFileError
from steel_client.results import Image

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """Result of one file: an image, or an error."""

    path: Path
    image: Image | None
    error: SteelError | None


def read_file(path: Path) -> bytes:
    """Read a file.

    Raises:
        UnreadableFileError: if it cannot be read, or is something that a read may wait for without end, such
            as a FIFO.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFileError(f"{str(path)!r} cannot be read: it is not a regular file")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UnreadableFileError(f"{str(path)!r} cannot be read: {error}") from error


async def predict_concurrently(
    predict: Callable[[Path], Awaitable[Image]], files: Iterable[Path], concurrency: int
) -> AsyncIterator[Outcome]:
    """Call ``predict`` for each file; see ``run_concurrently``. An error is an outcome of its file."""

    async def call(path: Path) -> Outcome:
        try:
            return Outcome(path, await predict(path), None)
        except SteelError as error:
            return Outcome(path, None, error)

    async for outcome in run_concurrently(call, files, concurrency):
        yield outcome


async def run_concurrently(
    call: Callable[[S], Awaitable[T]], items: Iterable[S], concurrency: int
) -> AsyncIterator[T]:
    """Call a function for each item, at most ``concurrency`` at a time; yield results as they finish.

    Calls that still run when the caller stops iterating, or one fails, are cancelled.
    """
    waiting = iter(items)
    running: set[asyncio.Future[T]] = set()
    try:
        while True:
            while len(running) < concurrency:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                running.add(asyncio.ensure_future(call(item)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
