"""Evidence from failures of one version against those of another, in the same stretch of time."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.bad_event import CanaryStep

ODDS: Final = np.array([10.0, 50.0])
"""Bets on how many times as often as the champion the challenger fails."""
WEIGHTS: Final = np.array([0.08, 0.64])
"""The weights of these bets. At a share of 1/2, five failures of the challenger and none of the champion: E = 20."""
OFTEN: Final = 0.28
"""The weight of the bet that the challenger fails on every other request and the champion on none. With the bets above,
four failures make E = 20, if they are among the first seven requests."""


class Pairs(NamedTuple):
    """Requests that both versions scored, and on which the champion never failed."""

    requests: int
    failed: int
    """The number of these on which the challenger failed."""


def excess_failure_e_value(stages: Sequence[CanaryStep], *, pairs: Pairs | None = None) -> float:
    """Return the evidence that the challenger fails more often than the champion in one stretch of time.

    While it is as good, a failure is the challenger's with the probability of its share rho of the scored requests, at
    any common failure rate: an outage of both is no evidence, nor are requests that neither could answer. With c_s of
    t_s failures in stage s the challenger's, and c of n requests,

        E = sum over lambda of w_lambda prod lambda^c_s / (1 - rho_s + rho_s lambda)^t_s
            + 0.28 (8/3)^c (8/9)^(n - c) [the champion failed on none]

    The last part bets on requests that both scored. If each fails with probability p, and not less often when the other
    fails, the mean of one request's factor is at most 8/3 p (1 - p) + 8/9 (1 - p)^2 = 1 - (4 p - 1)^2 / 9 <= 1.

    Args:
        stages: of the stretch, each with one share rho, 0 < rho < 1.
        pairs: the requests that both scored; None if the champion failed on one of them.

    Raises:
        InvalidInputError: for impossible counts.

    >>> alone, shared = [CanaryStep(0.5, 5, 5)], [CanaryStep(0.5, 5, 9)]
    >>> excess_failure_e_value(alone) > 20 > 1 > excess_failure_e_value(shared)
    True
    >>> four = [CanaryStep(0.5, 4, 4)]
    >>> excess_failure_e_value(four, pairs=Pairs(7, failed=4)) > 20 > excess_failure_e_value(four, pairs=Pairs(8, 4))
    True

    Source: Lindon & Malek, arXiv 2011.03567 (conditioning on each bad event); Shafer, arXiv 1903.06991 (betting).
    """
    log_e = np.zeros_like(ODDS)
    for share, challenger, failures in stages:
        if not 0 < share < 1 or not 0 <= challenger <= failures:
            raise InvalidInputError(f"{challenger} of {failures} failures at a share of {share} is impossible")
        log_e += challenger * np.log(ODDS) - failures * np.log1p(share * (ODDS - 1))
    with np.errstate(over="ignore"):
        return float(WEIGHTS @ np.exp(log_e)) + OFTEN * _often(pairs)


def _often(pairs: Pairs | None) -> float:
    if pairs is None:
        return 0.0
    requests, failed = pairs
    if not 0 <= failed <= requests:
        raise InvalidInputError(f"{failed} failures on {requests} requests are impossible")
    return float(np.exp(failed * np.log(8 / 3) + (requests - failed) * np.log(8 / 9)))
