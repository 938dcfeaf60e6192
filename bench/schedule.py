"""When requests are sent: an open loop does not wait for answers."""

import numpy as np


def poisson_schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw arrival times of a Poisson process: seconds from the start, ascending, below ``seconds``.

    Args:
        rate: arrivals a second in the mean.
        seconds: length of the run.
        seed: the same seed draws the same times.
    """
    rng = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are uniform.
    count = int(rng.poisson(rate * seconds))
    times: list[float] = np.sort(rng.uniform(0, seconds, count)).tolist()
    return times
