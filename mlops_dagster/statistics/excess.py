"""Failures of one version beside those of another, in the same stretch of time."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bad_event import Stage

ODDS: Final = np.array([3.0, 10.0])
"""Bets on how many times as often the challenger fails; together they have a quarter of the weight."""
_ALL_IN: Final = 0.65
"""The weight of the bet that no failure is the champion's: 1/share for each of the challenger's, and lost with the
first of the champion. At a share of 1/2 five failures are worth 20."""
_ALWAYS: Final = 0.1
"""The weight of the bet that the challenger fails on every request and the champion on none. Four are worth 20."""


def excess_failure_e_value(stages: Sequence[Stage], *, always: int | None = None) -> float:
    """Return the evidence that the challenger fails more often than the champion in one stretch of time.

    While it is as good, a failure is the challenger's with the probability of its share rho of what both scored, at
    whatever rate both fail in that minute: an outage of both says nothing, nor do requests that nobody could answer.
    With c_s of t_s failures in stage s the challenger's,

        E = 0.65 prod (1 / rho_s)^c_s [all are the challenger's] + 0.125 sum over lambda of
            prod lambda^c_s / (1 - rho_s + rho_s lambda)^t_s + 0.1 * 4^n [it failed on all n, the champion on none]

    The last part bets on requests that both scored, where 1/4 is the largest chance that one of two fails and the other
    does not while both fail alike and independently of each other.

    Args:
        stages: of the stretch, each with one share rho, 0 < rho < 1.
        always: n, if the challenger failed on all its requests and the champion on none; None if that is not so.

    Raises:
        InvalidInputError: for impossible counts.

    >>> alone, shared = [Stage(0.5, 5, 5)], [Stage(0.5, 5, 9)]
    >>> excess_failure_e_value(alone) > 20 > 1 > excess_failure_e_value(shared)
    True
    >>> excess_failure_e_value([Stage(0.5, 4, 4)], always=4) > 20 > excess_failure_e_value([Stage(0.5, 4, 4)])
    True

    Source: Lindon & Malek, arXiv 2011.03567 (conditioning on each bad event).
    """
    log_e, all_in = np.zeros_like(ODDS), 0.0
    for share, challenger, failures in stages:
        if not 0 < share < 1 or not 0 <= challenger <= failures:
            raise InvalidInputError(f"{challenger} of {failures} failures at a share of {share} is impossible")
        log_e += challenger * np.log(ODDS) - failures * np.log1p(share * (ODDS - 1))
        all_in += -failures * np.log(share) if challenger == failures else -np.inf
    in_all = 0.0 if always is None else 4.0 ** min(always, 500)
    with np.errstate(over="ignore"):
        odds = (1 - _ALL_IN - _ALWAYS) * float(np.exp(log_e).mean())
        return _ALL_IN * float(np.exp(all_in)) + odds + _ALWAYS * in_all
