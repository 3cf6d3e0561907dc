"""Detection of a rate that rises above a limit at an unknown time, with a stated mean time to a false alarm."""

import math
from typing import Final, TypeAlias

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.rate import ODDS_RATIOS

LogEvidence: TypeAlias = tuple[float, ...]
"""The natural logarithm of the statistic of each bet; empty before the first trial."""

_ABOVE: Final = tuple(float(each) for each in ODDS_RATIOS)
_BELOW: Final = tuple(1 / each for each in _ABOVE)


def rise(
    before: LogEvidence,
    bad: float,
    trials: float,
    *,
    limit: float,
    elapsed: float,
    rows_per_observation: float = 1.0,
    most: float = math.inf,
) -> LogEvidence:
    """Return the evidence that bad events are more frequent than `limit` since some moment, after one more step.

    The statistic is an e-detector of the Shiryaev-Roberts type. With e_b the factor of the step's trials under the bet
    b of `rate_e_value`, and w the time that the step took,

        M_b = e_b (M_b before + w),  M = mean over b of M_b

    While the rate is at most the limit, the expectation of e_b is at most 1, so M minus the time that has passed is a
    supermartingale: if an alarm is raised when M reaches T, the mean time to a false alarm is T or longer, in the unit
    of `elapsed`, whatever the traffic and however often M is computed. A change costs no more than its own evidence
    against log T, since each step is a possible beginning.

    Args:
        before: the evidence before this step; empty at the beginning.
        bad: the number of bad events among the step's trials.
        trials: the number of trials; without any the evidence stays, and their time belongs to the next step.
        limit: the rate that is tolerated, above 0 and under 1.
        elapsed: the time since the last step with trials, in the unit of T; above 0.
        rows_per_observation: the trials that count as one, because they share causes: the design effect. Each factor is
            its root; on independent trials that keeps an e-value.
        most: the largest factor of one step, for trials of a step that share causes in a way that is not known.

    Raises:
        InvalidInputError: for impossible counts, a limit outside of (0, 1), `elapsed` <= 0, and under 1 row an
            observation.

    >>> good = bad = ()
    >>> for _ in range(60):
    ...     good = rise(good, 4, 100, limit=0.07, elapsed=1.0)
    ...     bad = rise(bad, 14, 100, limit=0.07, elapsed=1.0)
    >>> log_evidence(good) < math.log(365) < log_evidence(bad)
    True
    >>> rise((), 0, 0, limit=0.07, elapsed=1.0)
    ()

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
    The New England Journal of Statistics in Data Science 2, 2024, doi 10.51387/23-NEJSDS51, definitions 2.2 and 2.6.
    """
    _check(bad, trials, limit, rows_per_observation)
    if not elapsed > 0:
        raise InvalidInputError(f"a step takes some time, got {elapsed}")
    if not trials:
        return before
    begins, highest = math.log(elapsed), math.log(most)
    factors = _log_factors(_ABOVE, bad, trials, limit, rows_per_observation)
    if not before:
        return tuple(min(each, highest) + begins for each in factors)
    return tuple(min(each, highest) + _added(begun, begins) for each, begun in zip(factors, before, strict=True))


def fall(
    before: LogEvidence, bad: float, trials: float, *, limit: float, rows_per_observation: float = 1.0
) -> LogEvidence:
    """Return the evidence that bad events are less frequent than `limit` since some moment, after one more step.

    The statistic is of the CUSUM type, M_b = e_b max(M_b before, 1), with bets on rates under the limit: the evidence
    since the moment that is best for it. It closes an alarm, and states no rate of errors.

    Raises InvalidInputError for impossible counts, a limit outside of (0, 1), and under 1 row an observation.

    >>> log_evidence(fall((), 2, 400, limit=0.07)) > math.log(20) > log_evidence(fall((), 28, 400, limit=0.07))
    True

    Source: as `rise`; the CUSUM is E. S. Page, Biometrika 41, 1954.
    """
    _check(bad, trials, limit, rows_per_observation)
    if not trials:
        return before
    factors = _log_factors(_BELOW, bad, trials, limit, rows_per_observation)
    return tuple(each + max(begun, 0.0) for each, begun in zip(factors, before or (0.0,) * len(factors), strict=True))


def log_evidence(logs: LogEvidence) -> float:
    """Return the logarithm of the mean over the bets; minus infinity before the first trial.

    >>> log_evidence(()), log_evidence((0.0, 0.0))
    (-inf, 0.0)
    """
    if not logs:
        return -math.inf
    largest = max(logs)
    return largest + math.log(sum(math.exp(each - largest) for each in logs) / len(logs))


def _log_factors(
    odds_ratios: tuple[float, ...], bad: float, trials: float, limit: float, rows_per_observation: float
) -> list[float]:
    """Return the logarithm of the likelihood ratio of each bet on the odds, relative to those at the limit."""
    return [
        (bad * math.log(odds) - trials * math.log1p(limit * (odds - 1))) / rows_per_observation for odds in odds_ratios
    ]


def _added(first: float, second: float) -> float:
    """Return the logarithm of the sum of two numbers given by their logarithms."""
    low, high = sorted((first, second))
    return high + math.log1p(math.exp(low - high))


def _check(bad: float, trials: float, limit: float, rows_per_observation: float) -> None:
    if not 0 <= bad <= trials or not 0 < limit < 1:
        raise InvalidInputError(f"{bad} bad events in {trials} trials against a limit of {limit} make no test")
    if not rows_per_observation >= 1:
        raise InvalidInputError(f"an observation is worth 1 row or more, got {rows_per_observation}")
