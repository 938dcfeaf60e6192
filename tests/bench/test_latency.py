"""Percentiles."""

import pytest

from bench.latency import summarize_latencies


def test_percentiles_are_latencies_that_were_measured() -> None:
    found = summarize_latencies([number / 1000 for number in range(1, 101)])
    assert (found.count, found.p50, found.p95, found.p99, found.max) == pytest.approx((100, 50, 95, 99, 100))
    assert summarize_latencies([0.007, 0.001]).p99 == pytest.approx(7)
    assert summarize_latencies([]).p50 is None
