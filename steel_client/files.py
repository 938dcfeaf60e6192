"""Many files at a time, with bounded concurrency."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from steel_client.errors import SteelError
from steel_client.results import Image


@dataclass(frozen=True)
class Outcome:
    """Result of one file: an image, or an error."""

    path: Path
    image: Image | None
    error: SteelError | None


async def predict_concurrently(
    predict: Callable[[Path], Awaitable[Image]], files: Iterable[Path], concurrency: int
) -> AsyncIterator[Outcome]:
    """Call ``predict`` for each file, at most ``concurrency`` at a time; yield outcomes as they finish.

    Calls that still run when the caller stops iterating are cancelled.
    """

    async def call(path: Path) -> Outcome:
        try:
            return Outcome(path, await predict(path), None)
        except SteelError as error:
            return Outcome(path, None, error)

    waiting = iter(files)
    running: set[asyncio.Task[Outcome]] = set()
    try:
        while True:
            while len(running) < concurrency and (path := next(waiting, None)) is not None:
                running.add(asyncio.create_task(call(path)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
