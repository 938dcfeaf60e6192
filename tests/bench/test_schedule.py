"""Arrivals."""

import numpy as np
import pytest

from bench.schedule import poisson_schedule


def test_the_same_seed_draws_the_same_arrivals() -> None:
    assert poisson_schedule(50, 10, seed=3) == poisson_schedule(50, 10, seed=3)
    assert poisson_schedule(50, 10, seed=3) != poisson_schedule(50, 10, seed=4)


def test_arrivals_are_those_of_a_poisson_process() -> None:
    times = poisson_schedule(200, 100, seed=0)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 100
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    # Exponential gaps: as much spread as mean. An even pace would have none, and no queues.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
