"""The design effect of a paired difference: known ones are found again, and with it chance keeps its rate."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import difference_design_effect, paired_e_value

ROWS = 200
Counts = npt.NDArray[np.int64]


def days_of(rng: np.random.Generator, correlation: float, shape: tuple[int, int]) -> Counts:
    """(lives, days, 3) wins, losses and ties; a fifth disagrees, and of it a day's share of wins is beta-distributed.

    With disagreement q and a share of wins of variance v about 1/2, the correlation of D is 4 q v.
    """
    variance = correlation / 4 / 0.2
    spread = (0.25 / variance - 1) / 2
    disagree = rng.binomial(ROWS, 0.2, shape)
    wins = rng.binomial(disagree, rng.beta(spread, spread, shape))
    return np.stack([wins, disagree - wins, ROWS - disagree], axis=-1)


def by_hand(blocks: list[tuple[int, int, int]], least: float) -> float:
    """The analysis of variance of the rows one by one, with F over `least`: no formula of the code is used."""
    rows = [np.repeat([-1.0, 1.0, 0.0], counts) for counts in blocks if sum(counts)]
    every = np.concatenate(rows)
    n, c = len(every), len(rows)
    between = sum(len(day) * (day.mean() - every.mean()) ** 2 for day in rows) / (c - 1)
    within = sum(((day - day.mean()) ** 2).sum() for day in rows) / (n - c)
    size = (n - sum(len(day) ** 2 for day in rows) / n) / (c - 1)
    ratio = max(between / within, 1.0) / least
    return float(1 + (size - 1) * max(ratio - 1, 0) / (ratio + size - 1))


def test_it_is_the_analysis_of_variance_of_the_rows() -> None:
    """Of days with different numbers of rows, one without any; the fall and rise leaves no correlation of days."""
    blocks = [(10, 2, 88), (1, 9, 50), (0, 0, 0), (12, 3, 150), (2, 11, 77), (8, 1, 61), (0, 7, 90)]
    found = difference_design_effect(blocks)
    assert found is not None
    assert found.lasting == 0
    least = float(stats.f.ppf(0.2, 5, sum(map(sum, blocks)) - 6))
    assert found.rows == pytest.approx(by_hand(blocks, least), rel=1e-9)
    assert found.rows == pytest.approx(14.656, abs=0.001)
    assert found.rows_per_day == pytest.approx(94.67, abs=0.01)  # (582 - 63234 / 582) / 5


@pytest.mark.parametrize("correlation", [0.005, 0.02, 0.1])
def test_known_ones_are_found_again_and_four_in_five_are_over(correlation: float) -> None:
    rng = np.random.default_rng(6)
    true = 1 + (ROWS - 1) * correlation
    many = [difference_design_effect(life.tolist()) for life in days_of(rng, correlation, (20, 2000))]
    assert np.mean([each.rows for each in many if each]) == pytest.approx(true, rel=0.06)
    few = [difference_design_effect(life.tolist()) for life in days_of(rng, correlation, (400, 14))]
    over = np.mean([each.rows > true for each in few if each])
    assert 0.77 < over < 0.97  # more where days are far apart: a share of wins has its ends


@given(st.lists(st.tuples(*[st.integers(0, 500)] * 3), max_size=12))
def test_it_is_between_one_and_a_day_and_the_same_for_the_other_version(blocks: list[tuple[int, int, int]]) -> None:
    found = difference_design_effect(blocks)
    if found is not None:
        assert found.rows_per_day is not None
        assert 1 <= found.rows <= found.rows_per_day + 1e-9
        assert found.rows_per_day <= max(map(sum, blocks))
        other = difference_design_effect([(losses, wins, ties) for wins, losses, ties in blocks])
        assert other is not None
        assert (other.rows, other.lasting) == (pytest.approx(found.rows), pytest.approx(found.lasting))


@pytest.mark.parametrize("blocks", [[], [(3, 4, 5)], [(3, 4, 5), (0, 0, 0)], [(1, 0, 0), (0, 1, 0), (0, 0, 1)]])
def test_one_day_or_a_row_a_day_say_nothing(blocks: list[tuple[int, int, int]]) -> None:
    assert difference_design_effect(blocks) is None


def test_negative_counts_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="none of them negative"):
        difference_design_effect([(1, 2, 3), (1, -2, 3)])


def test_days_that_are_all_won_or_all_lost_are_one_observation_each() -> None:
    found = difference_design_effect([(50, 0, 0), (0, 50, 0)] * 5)
    assert found is not None
    assert found.rows == 50


def test_what_lasts_takes_more_rows() -> None:
    fast, slow = [(5, 15, 80), (15, 5, 80)] * 10, [(5, 15, 80)] * 10 + [(15, 5, 80)] * 10
    found = [difference_design_effect(blocks) for blocks in (fast, slow)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].of_many_blocks == found[0].rows
    assert found[1].lasting == 0.5  # as much as is believed
    assert found[1].of_many_blocks == pytest.approx(1 + 3 * (found[1].rows - 1))


def false_claims(days: Counts, evaluated: int, *, shared: bool) -> float:
    """Of how many lives a look a day claims a superiority that there is none of."""
    claimed = 0
    for life in days:
        effect = difference_design_effect(life[:evaluated].tolist())
        assert effect is not None
        r = effect.of_many_blocks if shared else 1.0
        looks = np.cumsum(life[evaluated:], axis=0).tolist()
        claimed += any(
            paired_e_value(*counts, margin=0, alternative="not_worse", rows_per_observation=r) >= 20 for counts in looks
        )
    return claimed / len(days)


@pytest.mark.parametrize("evaluated", [7, 14, 28])
def test_without_it_rows_of_a_day_prove_what_is_not_so(evaluated: int) -> None:
    days = days_of(np.random.default_rng(7), 0.04, (300, evaluated + 60))
    assert false_claims(days, evaluated, shared=False) > 0.3
    assert false_claims(days, evaluated, shared=True) <= 0.05
