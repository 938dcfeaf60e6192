"""Ctrl+C: the first one ends a command in order, a second one at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

INTERRUPTED = 130
"""Exit code, as shells give it: 128 + SIGINT."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine until it ends or Ctrl+C cancels it.

    Once that was pressed, the process waits for what cannot be cancelled; from then on Ctrl+C ends it.

    Raises:
        KeyboardInterrupt: if it was cancelled by Ctrl+C.
    """
    handler = _Handler()
    before = signal.signal(signal.SIGINT, handler)
    try:
        return asyncio.run(handler.cancellable(work))
    except asyncio.CancelledError:
        if handler.pressed:
            raise KeyboardInterrupt from None
        raise
    finally:
        if not handler.pressed:
            signal.signal(signal.SIGINT, before)


class _Handler:
    """Handler of SIGINT."""

    def __init__(self) -> None:
        self.pressed = False
        self._cancel: Callable[[], object] | None = None

    def __call__(self, *_: object) -> None:
        if self.pressed:
            _say("interrupted again: ended at once; start the command again to resume")
            os._exit(INTERRUPTED)
        self.pressed = True
        if self._cancel is None:
            raise KeyboardInterrupt
        _say("interrupted: ends when what runs is done; Ctrl+C ends it at once")
        self._cancel()

    async def cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine in a task that the handler cancels."""
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        return await task


def _say(message: str) -> None:
    """Write a line in a signal handler, where the locks of print may be held; below the terminal's ^C."""
    os.write(2, f"\n{message}\n".encode())
