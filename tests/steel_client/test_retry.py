"""Retries and pauses."""

import pytest

from steel_client.errors import SteelError
from steel_client.retry import RetryPolicy


def test_pauses_grow_and_retries_are_counted() -> None:
    policy = RetryPolicy(1000, retries=3)
    error = SteelError("no answer")
    pauses = [policy.pause_after(error) for _ in range(3)]
    assert 0.1 <= pauses[0] <= 0.3
    assert 0.4 <= pauses[2] <= 1.2
    with pytest.raises(SteelError):
        policy.pause_after(error)
