"""Evidence from bad events of a canary, relative to the champion that serves at the same time."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.combination import Alternative, mixture

WORSE: Final = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""The bets, of equal weight: the factors by which the canary may have more bad events than the hypothesis allows.

A bet pays best if it is true: it is the ratio of the odds to those at q0. At an error rate of 0.5 %, 200 requests/s, a
1 % step and a check every minute, errors x2 are found after a median of 16 minutes with max_ratio 1 (27 with max_ratio
1.2), x3 after 5 (8), x5 after 2 (3).
"""

NOT_WORSE: Final = np.array([0.9, 0.8, 0.65, 0.4])
"""The bets of "not_worse": closer to 1, as an ordinary canary must be told from a slightly worse one."""


class CanaryStep(NamedTuple):
    """A stretch of the rollout with one canary share: `canary_bad` of the `all_bad` events were the canary's."""

    share: float
    canary_bad: int
    all_bad: int


def bad_event_e_value(
    stages: Iterable[CanaryStep],
    *,
    max_ratio: float = 1.0,
    alternative: Alternative = "worse",
    rows_per_observation: float = 1.0,
) -> float:
    """Return the evidence from bad events (failed, slow, wrong) that the canary is, or is not, worse than the champion.

    Given that an event is bad, it is the canary's with probability q0 if the canary fails max_ratio times as often as
    the champion, independent of the traffic and the failure rate of the hour. So a daily cycle and a ramp leave the
    test valid. With rho the canary's share of the requests in a stage,

        q0 = rho * max_ratio / (1 - rho + rho * max_ratio)
        E  = mean over lambda of product over stages of  lambda^canary_bad / (1 - q0 + q0 * lambda)^all_bad

    "worse": lambda > 1, against "it fails at most max_ratio times as often". "not_worse": lambda < 1, against "it fails
    at least max_ratio times as often"; max_ratio = 1 + margin. E is 1 without events and has no upper bound (inf).

    Events must be independent: with sticky keys, count the first bad event of a key only. If events of one day share
    causes, `rows_per_observation` of them count as one: each bet is raised to the inverse power.

    Raises InvalidInputError for a share outside [0, 1], max_ratio <= 0, under 1 row an observation, and impossible
    counts.

    >>> harmless = CanaryStep(share=0.01, canary_bad=2, all_bad=208)
    >>> harmful = CanaryStep(share=0.05, canary_bad=20, all_bad=120)
    >>> bad_event_e_value([harmless]) < 1 < 20 < bad_event_e_value([harmless, harmful])
    True
    >>> bad_event_e_value([])
    1.0

    Source: Lindon & Malek, arXiv 2011.03567; Johari et al., KDD 2017 (mixtures).
    """
    if not rows_per_observation >= 1:
        raise InvalidInputError(f"an observation is worth 1 row or more, got {rows_per_observation}")
    if not max_ratio > 0:
        raise InvalidInputError(
            f"max_ratio is how often the canary may fail, relative to the champion; got {max_ratio}"
        )
    lambdas = WORSE if alternative == "worse" else NOT_WORSE
    log_e = np.zeros_like(lambdas)
    for share, canary_bad, all_bad in stages:
        if not 0 <= share <= 1 or not 0 <= canary_bad <= all_bad:
            raise InvalidInputError(f"a share of {share} with {canary_bad} of {all_bad} bad events is impossible")
        if (share == 0 and canary_bad > 0) or (share == 1 and canary_bad < all_bad):
            raise InvalidInputError(f"{canary_bad} of {all_bad} bad events came from an arm whose share was 0")
        q0 = share * max_ratio / (1 - share + share * max_ratio)
        log_e += canary_bad * np.log(lambdas) - all_bad * np.log1p(q0 * (lambdas - 1))
    return mixture(log_e / rows_per_observation)
