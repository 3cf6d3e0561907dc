"""A rate over rows in blocks, and its uncertainty if the rows of a block share causes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError


class BlockRate(NamedTuple):
    """A rate, its standard error, and the degrees of freedom of that error."""

    rate: float
    error: float
    freedom: int

    def upper(self, alpha: float) -> float:
        """Return the upper bound of the true rate with certainty 1 - alpha; infinite without any degree of freedom."""
        if self.freedom < 1:
            return float("inf")
        from scipy.special import stdtrit

        return self.rate + float(stdtrit(self.freedom, 1 - alpha)) * self.error


def block_rate(blocks: Sequence[tuple[int, int]]) -> BlockRate:
    """Return the rate of (events, trials) of blocks such as hours, each of which may be better or worse as a whole.

    The error is that of a ratio of sums over blocks, and at least that of independent trials:

        error^2 = B / (B - 1) * sum of (events - rate * trials)^2 / (all trials)^2

    Blocks without trials are left out. Raises InvalidInputError for no trials at all, or more events than trials.

    >>> steady, storm = [(7, 10)] * 8, [(9, 10)] * 6 + [(1, 10)] * 2
    >>> [round(block_rate(its).error, 3) for its in (steady, storm)]
    [0.051, 0.131]
    >>> round(block_rate(steady).upper(0.01), 2)
    0.85

    Source: W. G. Cochran, Sampling Techniques, 1977, 9A.2 (a ratio of clusters).
    """
    counts = np.array(blocks, dtype=np.float64).reshape(-1, 2)
    events, trials = counts[counts[:, 1] > 0].T
    n, b = float(trials.sum()), len(trials)
    if not n or (events < 0).any() or (events > trials).any():
        raise InvalidInputError(f"a rate is of events among at least as many trials, got {list(blocks)}")
    rate = float(events.sum()) / n
    alone = rate * (1 - rate) / n
    shared = b / (b - 1) * float(np.sum((events - rate * trials) ** 2)) / n**2 if b > 1 else 0.0
    return BlockRate(rate, max(alone, shared) ** 0.5, b - 1)
