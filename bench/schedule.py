"""Arrival times of an open loop."""

import numpy as np


def poisson_schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw arrival times of a Poisson process: seconds from the start, ascending, below ``seconds``.

    Args:
        rate: mean arrivals per second.
        seconds: duration of the run.
        seed: the same seed draws the same times.
    """
    rng = np.random.default_rng(seed)
    # Given their number, arrival times of a Poisson process are uniformly distributed.
    count = int(rng.poisson(rate * seconds))
    times: list[float] = np.sort(rng.uniform(0, seconds, count)).tolist()
    return times
