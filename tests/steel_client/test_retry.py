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


def test_without_a_number_of_retries_the_deadline_ends_them() -> None:
    policy = RetryPolicy(1e9, retries=None)
    pauses = [policy.pause_after(SteelError("no answer")) for _ in range(2000)]
    assert max(pauses) <= 7.5
    with pytest.raises(SteelError):
        RetryPolicy(0, retries=None).pause_after(SteelError("no answer"))


def test_a_service_that_asks_for_no_pause_gets_one() -> None:
    assert RetryPolicy(10, retries=1).pause_after(SteelError("busy", status=503, retry_after=0)) >= 0.1
