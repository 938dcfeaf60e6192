"""Retries within a deadline: which errors are retried, and after which pause."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from steel_client.errors import ConfigurationError, SteelError

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_MOST_DOUBLINGS = 10
"""More make no pause longer; 2 to the power of a large count is not a float."""
_LONGEST_TIMEOUT = 86_400
"""A day, the service's longest deadline."""


def check_timeout(seconds: float) -> float:
    """Return the seconds of a call.

    Raises:
        ConfigurationError: if they are not above 0, or longer than the service allows.
    """
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise ConfigurationError(
            f"timeout: expected more than 0 and at most {_LONGEST_TIMEOUT} seconds, got {seconds:g}"
        )
    return seconds


@dataclass
class RetryPolicy:
    """Deadline, retries and pauses of one call.

    The pause is what Retry-After asks for, else an exponential backoff with jitter, so that many clients do
    not retry at the same moment.
    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

    Args:
        seconds: until the deadline, all attempts and pauses included.
        retries: most attempts after the first; None for as many as fit before the deadline.
        on_retry: called with the error before the pause, if another attempt follows.
    """

    seconds: float
    retries: int | None
    on_retry: Callable[[SteelError], None] | None = None

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds
        self._pauses = 0

    @property
    def left(self) -> float:
        """Seconds until the deadline, not below 0."""
        return max(0.0, self._deadline - time.monotonic())

    def pause_after(self, error: SteelError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            SteelError: ``error`` itself, if it is not transient, no retry is left, or the pause would pass
                the deadline.
        """
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._pauses, _MOST_DOUBLINGS)) * jitter
        pause = backoff if error.retry_after is None else max(error.retry_after, _FIRST_PAUSE * jitter)
        exhausted = self.retries is not None and self._pauses >= self.retries
        if not error.transient or exhausted or pause >= self.left:
            raise error
        self._pauses += 1
        if self.on_retry is not None:
            self.on_retry(error)
        return pause
