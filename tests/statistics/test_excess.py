"""Failures of one version beside those of another: an e-value by exact sums over all histories, and by simulation."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import CanaryStep, Pairs, excess_failure_e_value

HALF = 0.5


def e_value(history: list[bool], pairs: Pairs | None = None) -> float:
    """Whose each failure was: True, the challenger's."""
    return excess_failure_e_value([CanaryStep(HALF, sum(history), len(history))], pairs=pairs)


def e_value_of(challenger: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_]) -> float:
    """Who failed on each request; both were asked all of them."""
    pairs = None if champion.any() else Pairs(len(challenger), int(challenger.sum()))
    return e_value(challenger[challenger != champion].tolist(), pairs)


def test_one_failure_by_hand():
    """Odds of 10 and 50 at a share of 1/2 with 0.08 and 0.64; the rest is lost."""
    assert e_value([True]) == pytest.approx(0.08 * 10 / 5.5 + 0.64 * 50 / 25.5)
    assert e_value([False]) == pytest.approx(0.08 / 5.5 + 0.64 / 25.5)


def test_two_stages_by_hand():
    """Five of five at a share of 20 %, and four of ten at 50 %."""
    stages = [CanaryStep(0.2, 5, 5), CanaryStep(0.5, 4, 10)]
    weighted = [
        weight * np.prod([lam**bad / (1 - share + share * lam) ** every for share, bad, every in stages])
        for weight, lam in ((0.08, 10.0), (0.64, 50.0))
    ]
    assert excess_failure_e_value(stages) == pytest.approx(sum(weighted))


def test_requests_of_both_by_hand():
    assert excess_failure_e_value([], pairs=Pairs(3, 3)) == pytest.approx(0.72 + 0.28 * (8 / 3) ** 3)
    assert excess_failure_e_value([], pairs=Pairs(2, 1)) == pytest.approx(0.72 + 0.28 * 8 / 3 * 8 / 9)
    assert excess_failure_e_value([], pairs=Pairs(0, 0)) == pytest.approx(1.0), "no evidence is worth 1"
    assert excess_failure_e_value([]) == pytest.approx(0.72), "the champion has failed"
    assert excess_failure_e_value([], pairs=Pairs(10**6, 10**6)) == np.inf


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_over_all_histories_of_requests_the_mean_is_at_most_one(rate, alike):
    """Each fails by itself at the same rate, or (`alike`) as the other does; the bet on requests of both is in it."""
    apart = (1 - alike) * rate * (1 - rate)
    chances = {(True, True): rate - apart, (True, False): apart, (False, True): apart, (False, False): 1 - rate - apart}
    mean = 0.0
    for history in itertools.product(chances, repeat=5):
        mean += e_value_of(*np.array(history).T) * float(np.prod([chances[each] for each in history]))
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
        looks = np.flatnonzero(challenger & ~champion) + 1
        reached += any(e_value_of(challenger[:n], champion[:n]) >= 20 for n in looks)
    assert reached <= binom.ppf(0.995, runs, 0.05)


def test_so_many_of_its_own_are_enough():
    """Of a champion that never failed five for an E of 20 and eight for 100; four, if few others were asked."""
    assert [next(n for n in range(20) if e_value([True] * n) >= limit) for limit in (20, 100)] == [5, 8]
    assert [n for n in range(4, 20) if e_value([True] * 4, Pairs(n, 4)) >= 20] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "stage", [CanaryStep(0.0, 0, 1), CanaryStep(1.0, 1, 1), CanaryStep(0.5, 2, 1), CanaryStep(0.5, -1, 1)]
)
def test_what_is_impossible_is_refused(stage):
    with pytest.raises(InvalidInputError, match="impossible"):
        excess_failure_e_value([stage])


@pytest.mark.parametrize("pairs", [Pairs(1, 2), Pairs(1, -1)])
def test_impossible_pairs_are_refused(pairs):
    with pytest.raises(InvalidInputError, match="impossible"):
        excess_failure_e_value([], pairs=pairs)
