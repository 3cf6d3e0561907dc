"""Evidence that a rate has risen above a limit, from an unknown day on."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.columns import Counts
from mlops_dagster.statistics.design_effects.design_effect import INDEPENDENT, DesignEffect

BETS: Final = np.array([1 / 3, 1.0, 3.0])
"""The bets: the smaller, the more is bet on rates far above the limit."""

FARTHEST: Final = 3.0
"""The largest distance above the limit in standard deviations that counts: each block's factor is at most 10."""


class RateChange(NamedTuple):
    """The evidence for a change, and the block in which it most likely began; None before any trial."""

    e_value: float
    since: int | None


def rate_change_e_value(
    blocks: Sequence[tuple[int, int]], *, limit: float, shared: DesignEffect = INDEPENDENT
) -> RateChange:
    """Return the evidence that bad events have become more frequent than `limit`, from (bad, trials) by block (day).

    Blocks are in the order of time. A block is one observation, with any number of trials: trials of a day share
    causes, in a way that is not assumed. Only this is assumed of its rate x: while nothing is wrong, its mean is at
    most the limit, and its variance at most that of independent trials times the design effect `shared` at that many of
    them, limit (1 - limit) effect / trials. If causes last (`shared.lasting`), the blocks before it give the expected
    rate, and only the excess over that counts as news. With z = (x - expected) / standard deviation, cut off at 3, the
    factor of each block is

        e = mean over bets a of  max(a + z, 0)^2 / (a^2 + 1)

    whose expectation is at most (a^2 + 2 a E z + E z^2) / (a^2 + 1) <= 1. The cut lowers it, so that a single storm,
    however bad, is not a proof. With E_s the product of a bet over the blocks from s to the last of T, in the mean over
    bets,

        E = sum over s of E_s / (s (s + 1)) + 1 / (T + 1)

    The weights of all possible beginnings, including future ones, add up to 1, and a change that has not begun
    counts 1. So E is an e-value after any block, if the shared parts of blocks are independent or an autoregression of
    the stated correlation; and good months do not hide a bad last week: a change in block s costs a factor of
    s (s + 1), some days more. Blocks without trials are ignored.

    Raises InvalidInputError unless 0 <= bad <= trials and 0 < limit < 1.

    >>> good, bad = [(10, 100)] * 30, [(25, 100)] * 6
    >>> rate_change_e_value(good, limit=0.1).e_value < 1
    True
    >>> found = rate_change_e_value(good + bad, limit=0.1)
    >>> found.e_value > 100, found.since
    (True, 30)
    >>> rate_change_e_value(good + bad, limit=0.1, shared=DesignEffect(10.0)).e_value < 10
    True
    >>> days, weeks = DesignEffect(3.0), DesignEffect(3.0, lasting=0.7)
    >>> [round(rate_change_e_value(good + bad, limit=0.1, shared=shared).e_value) for shared in (days, weeks)]
    [452, 7]
    >>> rate_change_e_value([], limit=0.1)
    RateChange(e_value=1.0, since=None)

    Source: the mixture over change points is that of Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532, with
    weights that add up to 1, so that it bounds the probability of a false alarm and not only its frequency. The bet is
    the parabola by which Cantelli's inequality is proven. Measured: docs/decisions/0030-what-lasts-is-no-news.md.
    """
    counts = np.array(blocks, dtype=np.int64).reshape(-1, 2)
    bad, trials = counts[:, 0], counts[:, 1]
    if (bad < 0).any() or (bad > trials).any() or not 0 < limit < 1:
        raise InvalidInputError(
            f"bad events of trials and a limit between 0 and 1 make a test; got {list(blocks)} and {limit}"
        )
    if not trials.sum():
        return RateChange(1.0, None)
    steps = np.zeros((len(counts), len(BETS)))
    z = _surprises(bad[trials > 0], trials[trials > 0], limit, shared)
    with np.errstate(divide="ignore"):
        steps[trials > 0] = 2 * np.log(np.maximum(BETS + np.minimum(z, FARTHEST)[:, None], 0)) - np.log1p(BETS**2)
    log_e = np.cumsum(steps[::-1], axis=0)[::-1]  # (beginning, bet)
    begun = np.logaddexp.reduce(log_e, axis=1) - np.log(len(BETS))
    s = np.arange(1, len(counts) + 1)
    weighed = begun - np.log(s * (s + 1))
    with np.errstate(over="ignore"):
        total = float(np.exp(np.logaddexp.reduce([*weighed, -np.log(len(counts) + 1)])))
    return RateChange(total, int(np.argmax(weighed)))


def _surprises(bad: Counts, trials: Counts, limit: float, shared: DesignEffect) -> npt.NDArray[np.float64]:
    """Return the standard deviations by which each block is above the rate expected by the limit and earlier blocks.

    The shared part of blocks is an autoregression, seen through the noise of their trials: a one-dimensional Kalman
    filter.

    Source: R. E. Kalman, Journal of Basic Engineering 82, 1960.
    """
    most = min(limit, 0.5)  # of all rates up to the limit, the one with the largest p (1 - p)
    noise = most * (1 - most) / trials
    own = noise * np.array([shared.at(float(n)).rows - 1 for n in trials])
    lasts, expected, unsure = shared.lasting, 0.0, own[0]
    found = np.empty(len(trials))
    for block, over in enumerate(bad / trials - limit):
        expected, unsure = lasts * expected, lasts**2 * unsure + (1 - lasts**2) * own[block]
        news, variance = over - expected, unsure + noise[block]
        found[block] = news / variance**0.5
        expected, unsure = expected + news * unsure / variance, unsure * noise[block] / variance
    return found


def rate_upper_bound(bad: int, n: int, *, alpha: float, shared: float = 1.0) -> float:
    """Return the rate that the true one is below with probability 1 - alpha, after `bad` in `n` trials; 1 for none.

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
