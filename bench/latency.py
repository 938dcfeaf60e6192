"""Latencies in a few numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Percentiles of latencies, in milliseconds; None where there was nothing to measure."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


def latency_of(seconds: Sequence[float]) -> Latency:
    """Sum up latencies given in seconds.

    A percentile is a latency that was measured, the smallest that so many percent do not exceed: no value
    is made up between the two worst.
    """
    if not seconds:
        return Latency(0, None, None, None, None)
    values = 1000 * np.asarray(seconds)
    p50, p95, p99 = np.percentile(values, (50, 95, 99), method="inverted_cdf").tolist()
    return Latency(len(seconds), p50, p95, p99, float(values.max()))
