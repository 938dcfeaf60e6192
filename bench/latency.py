"""Percentiles of latencies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Percentiles of latencies in milliseconds; None if there are no latencies."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


def summarize_latencies(seconds: Sequence[float]) -> Latency:
    """Return percentiles of latencies given in seconds.

    A percentile is a measured latency, the smallest that this share does not exceed, without interpolation
    between the two largest.
    """
    if not seconds:
        return Latency(0, None, None, None, None)
    values = 1000 * np.asarray(seconds)
    p50, p95, p99 = np.percentile(values, (50, 95, 99), method="inverted_cdf").tolist()
    return Latency(len(seconds), p50, p95, p99, float(values.max()))
