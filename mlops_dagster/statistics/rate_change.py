"""A rate that may rise over a limit on some day that nobody knows beforehand."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.rate import ODDS_RATIOS


class RateChange(NamedTuple):
    """Evidence for a change, and the block in which it most likely began; None before any trial."""

    e_value: float
    since: int | None


def rate_change_e_value(blocks: Sequence[tuple[int, int]], *, limit: float, shared: float = 1.0) -> RateChange:
    """Evidence that bad events have become more frequent than `limit`, from (bad, trials) of each block (day) in order.

    With E_s the mixture of `rate_e_value` over the blocks from s to the last of T,

        E = sum over s of E_s / (s (s + 1)) + 1 / (T + 1)

    The weights of all possible beginnings, those to come too, add up to 1, and what has not begun is worth 1. So E is
    an e-value at any time, in the middle of a block too, and months that were good do not hide that last week was bad:
    a change in block s costs a factor of s (s + 1), as many rows as two or three doublings of the odds.

    `shared` is for trials that share a cause (the flights of one storm): each ratio is taken to the power 1 / shared.
    If at most so many share one, and causes are independent, E is still an e-value, whatever the trials of one cause
    have to do with each other: by Hoelder's inequality the expectation of the product is at most the product of
    expectations to that power, which is 1.

    Raises InvalidInputError unless 0 <= bad <= trials, 0 < limit < 1 and shared >= 1.

    >>> good, bad = [(10, 100)] * 30, [(20, 100)] * 6
    >>> rate_change_e_value(good, limit=0.1).e_value < 1
    True
    >>> found = rate_change_e_value(good + bad, limit=0.1)
    >>> found.e_value > 1000, found.since
    (True, 30)
    >>> rate_change_e_value([], limit=0.1)
    RateChange(e_value=1.0, since=None)

    Source: the mixture over change points is that of Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532, with
    weights that add up to 1, so that it bounds the probability of a false alarm and not only its frequency.
    """
    counts = np.array(blocks, dtype=np.int64).reshape(-1, 2)
    bad, trials = counts[:, 0], counts[:, 1]
    if (bad < 0).any() or (bad > trials).any() or not 0 < limit < 1 or shared < 1:
        raise InvalidInputError(
            f"bad events of trials, a limit between 0 and 1, and a cause shared by 1 or more trials make a test; "
            f"got {list(blocks)}, {limit} and {shared}"
        )
    if not trials.sum():
        return RateChange(1.0, None)
    steps = np.outer(bad, np.log(ODDS_RATIOS)) - np.outer(trials, np.log1p(limit * (ODDS_RATIOS - 1)))
    log_e = np.cumsum(steps[::-1] / shared, axis=0)[::-1]  # (beginning, bet)
    begun = np.logaddexp.reduce(log_e, axis=1) - np.log(len(ODDS_RATIOS))
    s = np.arange(1, len(counts) + 1)
    weighed = begun - np.log(s * (s + 1))
    with np.errstate(over="ignore"):
        total = float(np.exp(np.logaddexp.reduce([*weighed, -np.log(len(counts) + 1)])))
    return RateChange(total, int(np.argmax(weighed)))


def rate_upper_bound(bad: int, n: int, *, alpha: float, shared: float = 1.0) -> float:
    """The rate under which the true one lies with probability 1 - alpha, after `bad` in `n` trials; 1 after none.

    Clopper and Pearson's bound, which is never too low for independent trials; `shared` trials count as one.
    Raises InvalidInputError unless 0 <= bad <= n, 0 < alpha < 1 and shared >= 1.

    >>> round(rate_upper_bound(0, 100, alpha=0.05), 4)  # 1 - 0.05 ** (1 / 100)
    0.0295
    >>> rate_upper_bound(5, 5, alpha=0.05)
    1.0

    Source: C. Clopper, E. S. Pearson, Biometrika 26, 1934.
    """
    if not 0 <= bad <= n or not 0 < alpha < 1 or shared < 1:
        raise InvalidInputError(f"{bad} bad events in {n} trials, alpha {alpha} and {shared} a cause make no bound")
    if bad == n:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(bad / shared + 1, (n - bad) / shared, 1 - alpha))
