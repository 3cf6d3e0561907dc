"""Latencies as counts in buckets 5 % wide, which add up over minutes and processes."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_GROWTH = math.log(1.05)
_SHORTEST_MS = 0.01


class LatencySummary(NamedTuple):
    """Quantiles in milliseconds, each within 2.5 % of the exact one."""

    requests: int
    p50: float
    p95: float
    p99: float


def buckets(latencies_ms: npt.ArrayLike) -> list[int]:
    """Return the bucket of each latency: bucket b holds 1.05**(b-1) < latency <= 1.05**b milliseconds.

    >>> buckets([1.0, 1.04, 200.0])
    [0, 1, 109]
    """
    at_least = np.maximum(np.asarray(latencies_ms, dtype=np.float64), _SHORTEST_MS)
    found: list[int] = np.ceil(np.log(at_least) / _GROWTH).astype(np.int64).tolist()
    return found


def summarize(counts: Mapping[int, int]) -> LatencySummary | None:
    """Return nearest-rank quantiles of bucket counts, at the middle of the bucket; None without counts.

    >>> from collections import Counter
    >>> summary = summarize(Counter(buckets([10] * 98 + [500] * 2)))
    >>> round(summary.p50), round(summary.p99)
    (10, 503)
    """
    total = sum(counts.values())
    if total == 0:
        return None
    return LatencySummary(total, *(_quantile(counts, total, share) for share in (0.50, 0.95, 0.99)))


def _quantile(counts: Mapping[int, int], total: int, share: float) -> float:
    rank = math.ceil(share * total)
    for at in sorted(counts):
        rank -= counts[at]
        if rank <= 0:
            break
    return math.exp((at - 0.5) * _GROWTH)
