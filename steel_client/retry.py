"""When to try again, and when to give up."""

import random
import time
from dataclasses import dataclass

from steel_client.errors import SteelError

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


@dataclass
class Patience:
    """Pauses between the tries of one call: what Retry-After asks for, or longer and longer ones.

    Pauses of one's own vary at random by half, so that many clients do not come back all at once.
    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

    Args:
        seconds: for the whole call, all tries and pauses; the deadline.
        retries: tries after the first at most.
    """

    seconds: float
    retries: int

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + self.seconds
        self._pauses = 0

    @property
    def left(self) -> float:
        """Seconds until the deadline, not below 0."""
        return max(0.0, self._ends - time.monotonic())

    def pause_after(self, error: SteelError) -> float:
        """Answer how many seconds to wait before the next try.

        Raises:
            SteelError: the error itself, if another try would be of no use, one too many, or too late.
        """
        own = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._pauses) * random.uniform(0.5, 1.5)  # noqa: S311  (no secret hangs on it)
        pause = own if error.retry_after is None else error.retry_after
        if not error.passing or self._pauses >= self.retries or pause >= self.left:
            raise error
        self._pauses += 1
        return pause
