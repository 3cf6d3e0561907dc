"""The e-detector: against SciPy's likelihoods, its expectation, and the mean time to a false alarm that it promises."""

import math
from collections.abc import Callable, Iterator
from itertools import takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import LogEvidence, fall, log_evidence, rise

RATIOS = 1.25, 1.5, 2.0, 3.0, 5.0, 10.0
LIMIT = 0.07
PROMISED = 25
"""The mean time to a false alarm in the simulations, in steps."""


def likelihood_ratio(bad: int, trials: int, ratio: float) -> float:
    odds = ratio * LIMIT / (1 - LIMIT)
    return float(stats.binom.pmf(bad, trials, odds / (1 + odds)) / stats.binom.pmf(bad, trials, LIMIT))


def test_the_statistic_is_the_sum_over_all_beginnings() -> None:
    steps = [(3, 40, 1.0), (9, 60, 2.0), (0, 5, 0.5), (12, 90, 1.0)]
    logs: LogEvidence = ()
    for bad, trials, elapsed in steps:
        logs = rise(logs, bad, trials, limit=LIMIT, elapsed=elapsed)
    factors = [[likelihood_ratio(bad, trials, ratio) for bad, trials, _ in steps] for ratio in RATIOS]
    since = [[elapsed * math.prod(of_bet[at:]) for at, (*_, elapsed) in enumerate(steps)] for of_bet in factors]
    assert math.exp(log_evidence(logs)) == pytest.approx(sum(map(sum, since)) / len(RATIOS))


def test_the_evidence_of_a_recovery_is_that_of_its_best_beginning() -> None:
    steps = [(9, 60), (1, 80), (0, 5), (2, 90)]
    logs: LogEvidence = ()
    for bad, trials in steps:
        logs = fall(logs, bad, trials, limit=LIMIT)
    best = [
        max(math.prod(likelihood_ratio(bad, trials, 1 / ratio) for bad, trials in steps[at:]) for at in range(4))
        for ratio in RATIOS
    ]
    assert math.exp(log_evidence(logs)) == pytest.approx(sum(best) / len(RATIOS))


@given(rate=st.just(0.0) | st.floats(1e-9, LIMIT), trials=st.integers(1, 60), shared=st.floats(1, 50))
@settings(max_examples=40, deadline=None)
def test_a_step_under_the_limit_adds_its_time_at_most(rate: float, trials: int, shared: float) -> None:
    before = rise((), 5, 50, limit=LIMIT, elapsed=1.0)
    mean = sum(
        stats.binom.pmf(bad, trials, rate)
        * math.exp(log_evidence(rise(before, bad, trials, limit=LIMIT, elapsed=2.0, rows_per_observation=shared)))
        for bad in range(trials + 1)
    )
    assert mean <= math.exp(log_evidence(before)) + 2.0 + 1e-9


def mean_time(draw: Callable[[np.random.Generator], int], trials: int, shared: float) -> float:
    """Return the mean number of steps to an alarm, over 100 lives that are cut off at 20 times what is promised."""
    rng = np.random.default_rng(5)

    def life() -> Iterator[float]:
        logs: LogEvidence = ()
        for _ in range(20 * PROMISED):
            logs = rise(logs, draw(rng), trials, limit=LIMIT, elapsed=1.0, rows_per_observation=shared)
            yield log_evidence(logs)

    times = [1 + sum(1 for _ in takewhile(lambda found: found < math.log(PROMISED), life())) for _ in range(100)]
    return float(np.mean(times))


def test_false_alarms_are_as_rare_as_promised() -> None:
    assert mean_time(lambda rng: int(rng.binomial(50, LIMIT)), 50, 1.0) >= PROMISED


def test_labels_that_share_causes_count_for_less() -> None:
    trials, correlation = 200, 0.05
    spread = 1 / correlation - 1

    def day(rng: np.random.Generator) -> int:
        return int(rng.binomial(trials, rng.beta(LIMIT * spread, (1 - LIMIT) * spread)))

    assert mean_time(day, trials, 1 + (trials - 1) * correlation) >= PROMISED
    assert mean_time(day, trials, 1.0) < PROMISED / 2  # taken as independent


def test_a_storm_of_one_step_is_worth_its_limit() -> None:
    calm = rise((), 0, 100, limit=LIMIT, elapsed=1.0, most=100.0)
    stormy = rise(calm, 100, 100, limit=LIMIT, elapsed=1.0, most=100.0)
    assert log_evidence(stormy) <= math.log(100) + math.log(math.exp(log_evidence(calm)) + 1) + 1e-9


def test_a_step_without_trials_is_none() -> None:
    begun = rise((), 1, 10, limit=LIMIT, elapsed=1.0)
    assert rise(begun, 0, 0, limit=LIMIT, elapsed=5.0) == begun
    assert fall(begun, 0, 0, limit=LIMIT) == begun


@pytest.mark.parametrize(("bad", "trials", "limit", "elapsed"), [(2, 1, 0.1, 1.0), (0, 1, 0.0, 1.0), (0, 1, 0.1, 0.0)])
def test_what_is_no_step_is_refused(bad: int, trials: int, limit: float, elapsed: float) -> None:
    with pytest.raises(InvalidInputError):
        rise((), bad, trials, limit=limit, elapsed=elapsed)
