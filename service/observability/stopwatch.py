"""How long a piece of work took, and how much of a processor."""

import time
from typing import NamedTuple


class Spent(NamedTuple):
    """Seconds on the clock, and seconds that the thread was really running."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Starts when it is made; to be read on the thread that made it."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._cpu_started = time.thread_time()

    def read(self) -> Spent:
        """Return what was spent since the start."""
        return Spent(time.perf_counter() - self._started, time.thread_time() - self._cpu_started)
