"""Messages for the operator while a command waits for the service."""

import time
from collections.abc import Callable

from steel_client.errors import SteelError

_SAY_AGAIN_SECONDS = 60.0
_QUEUE_FULL = 429


class WaitingNotice:
    """Says that the service is waited for, once for each reason and minute, and when it answers again.

    Args:
        say: takes messages for the operator.
        limit: how long is waited, in words behind a comma; empty for without end.
    """

    def __init__(self, say: Callable[[str], None], limit: str = "") -> None:
        self._say = say
        self._limit = limit
        self._said: tuple[str, float] | None = None

    def note_error(self, error: SteelError) -> None:
        """Say that an attempt failed and will be repeated."""
        now = time.monotonic()
        if self._said is None or self._said[0] != str(error) or now - self._said[1] >= _SAY_AGAIN_SECONDS:
            self._said = str(error), now
            self._say(f"waiting for the service{self._limit}: {error}")

    def note_retry(self, error: SteelError) -> None:
        """Say it unless the service is only busy, which is usual while many files are sent."""
        if error.status != _QUEUE_FULL:
            self.note_error(error)

    def note_answer(self) -> None:
        """Say that the service answers again, if anything was said before."""
        if self._said is not None:
            self._said = None
            self._say("the service answers again")
