"""A rate that rises on an unknown day: by hand, and its expectation however the trials of a day go together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import (
    DesignEffect,
    beside_design_effect,
    rate_change_e_value,
    rate_design_effect,
    rate_upper_bound,
)

TRIALS = 12


def test_by_hand() -> None:
    # 0.15 is 5/3 standard deviations of 0.03 over the limit: bets of 1/3, 1 and 3 are worth 3.6, 32/9 and 98/45
    first = (3.6 + 32 / 9 + 98 / 45) / 3
    assert rate_change_e_value([(15, 100)], limit=0.1).e_value == pytest.approx(first / 2 + 1 / 2)
    # the second day, 0.10, is at the limit: 0.1, 0.5 and 0.9
    both = (0.36 + 16 / 9 + 88.2 / 45) / 3
    second = (0.1 + 0.5 + 0.9) / 3
    found = rate_change_e_value([(15, 100), (10, 100)], limit=0.1)
    assert found.e_value == pytest.approx(both / 2 + second / 6 + 1 / 3)
    assert found.since == 0
    # farther than three standard deviations counts as three; a day without trials for nothing
    assert rate_change_e_value([(99, 100)], limit=0.1).e_value == pytest.approx((10 + 8 + 3.6) / 3 / 2 + 1 / 2)
    assert rate_change_e_value([(15, 100), (0, 0)], limit=0.1).e_value == pytest.approx(first / 2 + 1 / 6 + 1 / 3)
    # four rows are one: 5/6 standard deviations; and as many share a cause at twice the rows as the estimate says
    shared = np.mean([(7 / 6) ** 2 / (10 / 9), (11 / 6) ** 2 / 2, (23 / 6) ** 2 / 10]) / 2 + 1 / 2
    assert rate_change_e_value([(15, 100)], limit=0.1, shared=DesignEffect(4.0)).e_value == pytest.approx(shared)
    half = DesignEffect(2.5, rows_per_day=50.0)
    assert rate_change_e_value([(15, 100)], limit=0.1, shared=half).e_value == pytest.approx(shared)


def test_what_lasts_by_hand() -> None:
    # Four rows are one, and half of what a day shares lasts: of a variance of 0.0036 the noise is 0.0009, so 0.06 over
    # the limit, one standard deviation, is taken for 0.045 that the day shared. 0.0225 of it are expected of the next
    # day, and unsure is a quarter of what was left unsure, three quarters of what is new, and the noise.
    lasting = DesignEffect(4.0, lasting=0.5)
    second = -0.0225 / (0.0027 * 0.25 * 0.25 + 0.0027 * 0.75 + 0.0009) ** 0.5
    bets = np.array([1 / 3, 1, 3])
    days = [np.maximum(bets + z, 0) ** 2 / (1 + bets**2) for z in (1.0, second)]
    found = rate_change_e_value([(16, 100), (10, 100)], limit=0.1, shared=lasting)
    assert found.e_value == pytest.approx(np.mean(days[0] * days[1]) / 2 + np.mean(days[1]) / 6 + 1 / 3)
    # the first day has none before it; one without trials says nothing of the next
    alone = rate_change_e_value([(16, 100)], limit=0.1, shared=lasting).e_value
    assert alone == pytest.approx(np.mean(days[0]) / 2 + 1 / 2)
    later = rate_change_e_value([(16, 100), (0, 0), (10, 100)], limit=0.1, shared=lasting).e_value
    assert later == pytest.approx(np.mean(days[0] * days[1]) / 2 + np.mean(days[1]) * (1 / 6 + 1 / 12) + 1 / 4)
    # deviations that follow one another multiply to 4 - 3 of 8, and a sample of eight shows (1 + 4 / 8) / 8 too little
    twice = rate_design_effect([(10, 100), (10, 100), (20, 100), (20, 100)] * 2)
    assert twice is not None
    assert twice.lasting == pytest.approx(1 / 8 + 1.5 / 8)
    ratio = 2 / 7 / (100 / 792) / stats.f.ppf(0.1, 8 * (1 - 5 / 16) / (1 + 5 / 16) - 1, 792)
    assert twice.rows == pytest.approx(1 + 99 * (ratio - 1) / (ratio + 99))


@pytest.mark.parametrize(("from_day_to_day", "share"), [(0.5, 0.05), (0.8, 0.1)])
def test_bad_weather_that_lasts_is_seldom_a_loss(from_day_to_day: float, share: float) -> None:
    """Champions evaluated on four weeks, and a year at the margin: two wrong answers of a day correlate by 0.03.

    With days taken for independent it is 6 and 40 % of them. At 0.8 four weeks do not show all that lasts.
    """
    rng = np.random.default_rng(8)
    rows, days, lives = 1000, 28, 80
    weather = rng.normal(size=(lives, days + 365))
    for day in range(1, days + 365):
        fresh = (1 - from_day_to_day**2) ** 0.5 * weather[:, day]
        weather[:, day] = from_day_to_day * weather[:, day - 1] + fresh
    mean = np.where(np.arange(days + 365) < days, 0.10, 0.12)
    spread = 1 / 0.03 - 1
    wrong = rng.binomial(rows, stats.beta.ppf(stats.norm.cdf(weather), mean * spread, (1 - mean) * spread))
    accused = 0
    for life in wrong:
        blocks = [(int(k), rows) for k in life]
        shared = rate_design_effect(blocks[:days])
        assert shared is not None
        limit = rate_upper_bound(int(life[:days].sum()), rows * days, alpha=0.0125, shared=shared.of_many_blocks) + 0.02
        looks = (blocks[days:until] for until in range(days + 5, days + 366, 15))
        accused += any(rate_change_e_value(seen, limit=limit, shared=shared).e_value >= 80 for seen in looks)
    assert accused <= share * lives


@given(st.lists(st.integers(0, 1000), min_size=TRIALS + 1, max_size=TRIALS + 1).filter(any), st.floats(0, 0.3))
@settings(max_examples=150)
def test_however_the_trials_of_a_day_go_together_its_expectation_is_one_at_most(
    weights: list[int], better: float
) -> None:
    """Any distribution of the bad events of a day: rare storms, all or nothing, a timetable."""
    share = np.array(weights) / sum(weights)
    bad = np.arange(TRIALS + 1)
    mean = float(share @ bad) / TRIALS
    limit = min(max(mean + better, 0.01), 0.99)
    most = min(limit, 0.5)
    variance = float(share @ (bad / TRIALS - mean) ** 2)
    shared = DesignEffect(max(variance / (most * (1 - most) / TRIALS), 1.0))
    seen = [int(k) for k in bad[share > 0]]
    first = {k: rate_change_e_value([(k, TRIALS)], limit=limit, shared=shared).e_value for k in seen}
    assert sum(share[k] * first[k] for k in seen) <= 1 + 1e-9
    for k in seen[:2]:  # after any first day it is expected to fall
        then = (rate_change_e_value([(k, TRIALS), (j, TRIALS)], limit=limit, shared=shared).e_value for j in seen)
        assert sum(share[j] * e for j, e in zip(seen, then, strict=True)) <= first[k] + 1e-9


def test_how_much_days_share_is_not_guessed_too_low() -> None:
    """The bound is over the true correlation nine times in ten, of beta-binomial days; of alike ones it is small."""
    rng = np.random.default_rng(1)
    for correlation, days, rows in ((0.03, 14, 300), (0.1, 6, 100), (0.01, 30, 1000)):
        spread = 1 / correlation - 1
        found = []
        for _ in range(300):
            wrong = rng.binomial(rows, rng.beta(0.1 * spread, 0.9 * spread, size=days))
            effect = rate_design_effect([(int(k), rows) for k in wrong])
            assert effect is not None
            found.append(effect.rows)
        true = 1 + (rows - 1) * correlation
        assert np.mean(np.array(found) >= true) > 0.82  # the days' rates are skewed, so a little under 0.9
        assert np.median(found) < 5 * true


def test_the_design_effect_of_a_rate_by_hand() -> None:
    # F is 0 here: less than chance, so counted as 1; F_0.1 of 1 and 198 degrees of freedom
    alike = rate_design_effect([(10, 100), (10, 100), (0, 0)])
    ratio = 1 / stats.f.ppf(0.1, 1, 198)
    assert alike is not None
    assert alike.rows == pytest.approx(1 + 99 * (ratio - 1) / (ratio + 99))
    assert alike.rows_per_day == pytest.approx(100)
    # two between them, from twice 100 times 0.1 squared; and 9 and 21 of 198 within
    unlike = rate_design_effect([(10, 100), (30, 100)])
    ratio = 2 / (30 / 198) / stats.f.ppf(0.1, 1, 198)
    assert unlike is not None
    assert unlike.rows == pytest.approx(1 + 99 * (ratio - 1) / (ratio + 99))
    assert rate_design_effect([(0, 100), (100, 100)]) == DesignEffect(100.0, rows_per_day=100.0)
    for nothing in ([], [(3, 100)], [(0, 1), (1, 1)]):
        assert rate_design_effect(nothing) is None
    with pytest.raises(InvalidInputError):
        rate_design_effect([(3, 2), (1, 2)])


def test_groups_of_a_day_beside_one_another() -> None:
    """By hand, and of days that are worse in all groups alike or in half of them."""
    # rates of 0.2 and 0.4; the days are 0.05 under and over them, which leaves 5 of 100 too many or too few in each
    found = beside_design_effect([[10, 40], [30, 40]], np.full((2, 2), 100))
    assert found is not None
    left = 2 * 5**2 / 16 + 2 * 5**2 / 24
    assert (found.rows, found.rows_per_day) == (pytest.approx(left / stats.chi2.ppf(0.1, 1)), 200)
    # a day without rows and a group that is never bad count for nothing
    more = beside_design_effect([[10, 40, 0], [0, 0, 0], [30, 40, 0]], [[100, 100, 50], [0, 0, 0], [100, 100, 50]])
    assert more == found
    for nothing in ([[10, 40]], [[10], [30]], [[0, 100], [0, 100]]):
        assert beside_design_effect(nothing, np.full(np.shape(nothing), 100)) is None

    rng, rows = np.random.default_rng(1), np.full((14, 10), 100)
    alike, half = [], []
    for _ in range(200):
        storm = rng.beta(3, 27, size=(14, 1))  # two rows of a day correlate by 0.03
        alike.append(beside_design_effect(rng.binomial(rows, storm), rows))
        half.append(beside_design_effect(rng.binomial(rows, np.where(np.arange(10) < 5, storm, 0.1)), rows))
    worth = [np.array([each.rows for each in its if each is not None]) for its in (alike, half)]
    assert np.mean(worth[0] < 1.6) > 0.95
    assert np.mean(worth[1] > 1.6) > 0.8


def test_what_makes_no_test_is_refused() -> None:
    assert rate_upper_bound(3, 3, alpha=0.1) == 1.0
    for blocks, limit in (([(3, 2)], 0.1), ([(-1, 2)], 0.1), ([(1, 2)], 0.0), ([(1, 2)], 1.0)):
        with pytest.raises(InvalidInputError):
            rate_change_e_value(blocks, limit=limit)
