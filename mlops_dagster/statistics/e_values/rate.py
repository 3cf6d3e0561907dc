"""Evidence that a rate is above an absolute limit."""

from typing import Final

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.combination import mixture

ODDS_RATIOS: Final = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""The bets, of equal weight: the odds of a bad event, relative to those at the limit."""


def rate_e_value(bad: int, n: int, *, limit: float) -> float:
    """Return the evidence that bad events are more frequent than `limit`, from `bad` in `n` independent trials.

    A mixture of likelihood ratios against a rate of exactly `limit`, which is also valid against any lower one.
    The bet lambda is on the rate p with p / (1 - p) = lambda * limit / (1 - limit):

        E = mean over lambda of  (p / limit)^bad * ((1 - p) / (1 - limit))^(n - bad)
          = mean over lambda of  lambda^bad / (1 - limit + limit * lambda)^n

    E is 1 without trials and has no upper bound (inf).

    Raises InvalidInputError unless 0 <= bad <= n and 0 < limit < 1.

    >>> rate_e_value(0, 0, limit=0.01)
    1.0
    >>> rate_e_value(12, 300, limit=0.01) > 20 > rate_e_value(5, 300, limit=0.01)
    True

    Source: Waudby-Smith & Ramdas, arXiv 2010.09686.
    """
    if not 0 <= bad <= n or not 0 < limit < 1:
        raise InvalidInputError(f"{bad} bad events in {n} trials against a limit of {limit} make no test")
    return mixture(bad * np.log(ODDS_RATIOS) - n * np.log1p(limit * (ODDS_RATIOS - 1)))
