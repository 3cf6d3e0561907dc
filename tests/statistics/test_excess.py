"""Failures that the champion does not share: an e-value by exact sums over all histories, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import FailuresSince, Stage, excess_failure_e_value

HALF = 0.5


def since(history: list[bool]) -> list[FailuresSince]:
    """Whose each failure was (True: the challenger's), from the first on and from each later one on."""
    return [
        FailuresSince(before, [Stage(HALF, sum(history[before:]), len(history) - before)])
        for before in range(len(history))
    ] or [FailuresSince(0, [])]


def test_one_failure_by_hand():
    """Odds of 1.5, 3 and 10 at a share of 1/2, half of the weight all in; 0.9 of that from the first on."""
    bets = ((1.5 / 1.25 + 3 / 2 + 10 / 5.5) / 3 + 2) / 2
    assert excess_failure_e_value(since([True])) == pytest.approx(0.9 * 0.9 * bets + 0.1)
    against = ((1 / 1.25 + 1 / 2 + 1 / 5.5) / 3 + 0) / 2
    assert excess_failure_e_value(since([False])) == pytest.approx(0.9 * 0.9 * against + 0.1)


def test_two_stages_and_a_later_start_by_hand():
    """Five of twenty at a share of 20 %, then four of four at 50 %: the second bets begin after twenty."""
    first, second = Stage(0.2, 5, 20), Stage(0.5, 4, 4)

    def bets(stages: list[Stage]) -> float:
        odds = [
            np.prod([lam**bad / (1 - share + share * lam) ** every for share, bad, every in stages])
            for lam in (1.5, 3.0, 10.0)
        ]
        all_in = np.prod([(1 / share) ** every if bad == every else 0.0 for share, bad, every in stages])
        return float(np.mean(odds) + all_in) / 2

    found = excess_failure_e_value([FailuresSince(0, [first, second]), FailuresSince(20, [second])])
    assert found == pytest.approx(0.9 * (0.9 * bets([first, second]) + 0.1 / (20 * 21) * bets([second])) + 0.1)


def test_all_requests_from_the_first_on_by_hand():
    nothing = [FailuresSince(0, [])]
    assert excess_failure_e_value(nothing, requests=3, alone=3) == pytest.approx(0.9 * 0.9 + 0.1 * 4**3)
    assert excess_failure_e_value(nothing, requests=4, alone=3) == pytest.approx(0.9 * 0.9)
    assert np.isfinite(excess_failure_e_value(nothing, requests=10**6, alone=10**6))


def test_over_all_histories_of_failures_of_equals_the_mean_is_at_most_one_and_never_rises():
    means = [
        np.mean(
            [excess_failure_e_value(since(list(history))) for history in itertools.product((True, False), repeat=n)]
        )
        for n in range(11)
    ]
    assert max(means) <= 1 + 1e-12
    assert means[0] == pytest.approx(0.91)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.5, 0.9])
def test_over_all_histories_of_requests_the_mean_is_at_most_one(rate):
    """Each fails by itself at the same rate; the part that bets on every request is in it."""
    chances = {(True, True): rate**2, (True, False): rate * (1 - rate), (False, True): rate * (1 - rate)}
    chances[False, False] = (1 - rate) ** 2
    mean = 0.0
    for history in itertools.product(chances, repeat=5):
        whose = [mine for mine, other in history if mine != other]
        alone = sum(mine and not other for mine, other in history)
        e_value = excess_failure_e_value(since(whose), requests=len(history), alone=alone)
        mean += e_value * float(np.prod([chances[each] for each in history]))
    assert mean <= 1 + 1e-12


WORLDS = {
    "rates that vary by the minute": (1.0, 1.0, 0.0),
    "outages of both": (1.0, 1.0, 0.1),
    "the champion fails more": (0.4, 1.0, 0.05),
}


@pytest.mark.parametrize("world", WORLDS)
def test_looked_at_after_each_failure_it_reaches_20_in_at_most_5_percent(world):
    mine, other, outage = WORLDS[world]
    rng, runs, minutes, reached = np.random.default_rng(11), 250, 120, 0
    for _ in range(runs):
        rate = 0.15 * rng.random(minutes) ** 3
        down = rng.random(minutes) < outage
        failed = [down[:, None] | (rng.random((minutes, 10)) < times * rate[:, None]) for times in (mine, other)]
        challenger, champion = (each.ravel() for each in failed)
        history: list[bool] = []
        alone = 0
        for number, (one, two) in enumerate(zip(challenger, champion, strict=True), 1):
            alone += one and not two
            if one == two:
                continue
            history.append(bool(one))
            if not one:
                continue
            starts = [0, *(n for back in (1, 2, 4, 8, 16, 32, 64) if (n := len(history) - back) > 0)]
            seen = [FailuresSince(n, [Stage(HALF, sum(history[n:]), len(history) - n)]) for n in starts]
            if excess_failure_e_value(seen, requests=number, alone=int(alone)) >= 20:
                reached += 1
                break
    assert reached <= binom.ppf(0.995, runs, 0.05)


def test_a_challenger_that_begins_to_fail_is_found_whatever_was_shared_before():
    """Eight of its own are enough for E of 100, and after 300 failures, as many of each, not quite thirty."""
    fair = [True, False] * 150
    clean, late = (
        next(n for n in range(1, 60) if excess_failure_e_value(since(before + [True] * n)) > 100)
        for before in ([], fair)
    )
    assert (clean <= 8, late < 30) == (True, True), (clean, late)


@pytest.mark.parametrize(
    ("seen", "counts"),
    [
        ([FailuresSince(0, [Stage(0.5, 3, 2)])], {}),
        ([FailuresSince(0, [Stage(0.0, 1, 2)])], {}),
        ([FailuresSince(0, [Stage(1.0, 1, 2)])], {}),
        ([FailuresSince(0, [])], {"requests": 2, "alone": 3}),
        ([FailuresSince(0, [])], {"requests": 2, "alone": -1}),
    ],
)
def test_impossible_counts_are_refused(seen, counts):
    with pytest.raises(InvalidInputError, match="impossible"):
        excess_failure_e_value(seen, **counts)
