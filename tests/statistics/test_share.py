"""Shares of few rows: exact against sums of the binomial, and how often chance fails an hour in a year."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import most_by_chance

ALPHA = 1e-5


def tail(rows: int, share: Fraction, more_than: int) -> Fraction:
    """P(X > more_than) for X ~ Binomial(rows, share)."""
    terms = (comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(more_than + 1, rows + 1))
    return sum(terms, start=Fraction(0))


@given(st.integers(1, 60), st.integers(1, 999), st.sampled_from([0.05, 0.01, 1e-3, 1e-5, 1e-8]))
def test_it_is_the_smallest_number_beyond_which_chance_is_rarer_than_alpha(rows: int, mille: int, alpha: float) -> None:
    share = Fraction(mille, 1000)
    most = most_by_chance(rows, float(share), alpha=alpha)
    assert tail(rows, share, most) <= alpha * (1 + 1e-9)
    if most > 0:
        assert tail(rows, share, most - 1) > alpha * (1 - 1e-9)


@given(st.integers(0, 5000), st.floats(0, 1), st.floats(1, 300))
def test_a_shared_cause_explains_more_but_no_more_than_half(
    rows: int, share: float, rows_per_observation: float
) -> None:
    alone = most_by_chance(rows, share, alpha=ALPHA)
    together = most_by_chance(rows, share, alpha=ALPHA, rows_per_observation=rows_per_observation)
    assert 0 <= alone <= together <= max(alone, rows // 2) <= rows


@pytest.mark.parametrize(("share", "limit"), [(0.005, 600), (0.002, 265), (0.05, 5300)])
def test_of_many_rows_the_limit_is_the_share(share: float, limit: int) -> None:
    """A limit of 0.5 % finds 0.6 % in 100,000 rows."""
    assert share * 100_000 < most_by_chance(100_000, share, alpha=ALPHA) < limit


@pytest.mark.parametrize(("rows", "was"), [(5, 3900), (37, 4100), (1000, 3800)])
def test_false_alarms_of_a_year_of_hours_at_the_limit(rows: int, was: int) -> None:
    """20 expectations, each at its limit of 10 % all year: nothing in the world is worse and still allowed.

    An hour failed when its share was over the limit, which chance brought about in nearly every hour.
    """
    counts = np.random.default_rng(rows).binomial(rows, 0.10, size=(8760, 20))
    failed = (counts > most_by_chance(rows, 0.10, alpha=ALPHA)).any(axis=1).sum()
    assert (counts > 0.10 * rows).any(axis=1).sum() > was
    assert failed <= 4  # 1.75 at most on average


@pytest.mark.parametrize(
    ("bad", "found"),
    [(0.2, (0.0, 0.05)), (0.4, (0.5, 0.7)), (0.6, (0.99, 1.0)), (1.0, (1.0, 1.0))],
)
def test_power_in_an_hour_of_37_rows(bad: float, found: tuple[float, float]) -> None:
    """Of 37 rows 10 missing ones are found where 5 % may be, and 14 outside where 10 % may."""
    assert (most_by_chance(37, 0.05, alpha=ALPHA), most_by_chance(37, 0.10, alpha=ALPHA)) == (9, 13)
    counts = np.random.default_rng(1).binomial(37, bad, size=4000)
    assert found[0] <= (counts > 13).mean() <= found[1]


def test_nothing_is_asked_that_makes_no_sense() -> None:
    assert most_by_chance(0, 0.5, alpha=ALPHA) == 0
    assert most_by_chance(10, 0.0, alpha=ALPHA) == 0
    for rows, share, alpha, rows_per_observation in [
        (-1, 0.1, 0.1, 1),
        (1, 1.1, 0.1, 1),
        (1, 0.1, 0, 1),
        (1, 0.1, 0.1, 0.5),
    ]:
        with pytest.raises(InvalidInputError, match="got"):
            most_by_chance(rows, share, alpha=alpha, rows_per_observation=rows_per_observation)
