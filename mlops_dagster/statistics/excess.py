"""Failures of one version that the other does not share."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bad_event import Stage

ODDS: Final = np.array([1.5, 3.0, 10.0])
"""Bets on how many times as often the challenger fails alone; together they have half of the weight.

The other half bets that it fails and the champion never does: it doubles with each failure, and is lost with the first
of the champion.
"""
_FROM_THE_FIRST: Final = 0.9
"""The weight of the bets that begin with the first failure of either; those that begin later share the rest."""
_ALWAYS: Final = 0.1
"""The weight of the bet that the challenger fails on every request from the first on, and the champion on none."""


class FailuresSince(NamedTuple):
    """Failures from some time on, in stages of one canary share each; `before` is how many there were before that.

    Requests that both versions scored are a stage with a share of 1/2: of failures of one of them alone.
    """

    before: int
    stages: Sequence[Stage]


def excess_failure_e_value(since: Sequence[FailuresSince], *, requests: int = 0, alone: int = 0) -> float:
    """Return the evidence that the challenger fails more often than the champion, beginning at any time.

    While it is as good, a failure is the challenger's with the probability of its share rho, at whatever rate both fail
    in that minute: an outage of both says nothing, nor do requests that nobody could answer. With c_s of t_s failures
    in stage s the challenger's, bets begin before each failure, the j-th with the weight v_j,

        E = sum over j of v_j mean over lambda of product over s of lambda^c_s / (1 - rho_s + rho_s lambda)^t_s

    v_0 = 0.9 and v_j = 0.1 / (j (j + 1)): a past without failures costs nothing, one with many costs their logarithm.
    One part bets on requests that both scored: (1 / q)^n if the challenger alone failed on all n of them, where q = 1/4
    is the largest chance of that while both fail alike and independently.

    Args:
        since: the first is the whole, the others what began later, with rising `before`; any of them may be left out.
        requests: that both versions scored, from the first on.
        alone: of these, how many the challenger alone failed on.

    Raises:
        InvalidInputError: for impossible counts.

    >>> clean = [FailuresSince(0, [Stage(0.5, 8, 8)])]
    >>> shared = [FailuresSince(0, [Stage(0.5, 8, 15)])]
    >>> excess_failure_e_value(clean) > 100 > 1 > excess_failure_e_value(shared)
    True
    >>> excess_failure_e_value([FailuresSince(0, [Stage(0.5, 5, 5)])], requests=5, alone=5) > 100
    True

    Source: Lindon & Malek, arXiv 2011.03567 (conditioning on each bad event); Shin, Ramdas, Rinaldo, arXiv 2203.03532
    (a mixture over beginnings).
    """
    if not 0 <= alone <= requests:
        raise InvalidInputError(f"{alone} of {requests} requests is impossible")
    first = {each.before: each for each in reversed(since)}
    bets = sum(_weight(before) * _bets(each.stages) for before, each in first.items())
    always = 4.0 ** min(requests, 500) if alone == requests else 0.0
    return (1 - _ALWAYS) * bets + _ALWAYS * always


def _weight(before: int) -> float:
    return _FROM_THE_FIRST if before == 0 else (1 - _FROM_THE_FIRST) / (before * (before + 1))


def _bets(stages: Sequence[Stage]) -> float:
    log_e, log_all_in = np.zeros_like(ODDS), 0.0
    for share, challenger, failures in stages:
        if not 0 < share < 1 or not 0 <= challenger <= failures:
            raise InvalidInputError(f"{challenger} of {failures} failures at a share of {share} is impossible")
        log_e += challenger * np.log(ODDS) - failures * np.log1p(share * (ODDS - 1))
        log_all_in += -failures * np.log(share) if challenger == failures else -np.inf
    with np.errstate(over="ignore"):
        return float(np.exp(log_e).mean() + np.exp(log_all_in)) / 2
