"""The difference of two losses: the paired e-value where the loss is 0 or 1, and an e-value for any loss."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import days_differ, difference_e_value, paired_e_value

counts = st.integers(0, 3000)
margins = st.floats(-0.5, 0.5)
alternatives = st.sampled_from(["worse", "not_worse"])
rows = st.sampled_from([1.0, 1.7, 30.0])


@given(counts, counts, counts, margins, alternatives, rows)
def test_of_wins_losses_and_ties_it_is_the_paired_e_value(wins, losses, ties, margin, alternative, r):
    kind = {"margin": margin, "alternative": alternative, "rows_per_observation": r}
    assert difference_e_value([(-1.0, wins), (1.0, losses), (0.0, ties)], **kind) == pytest.approx(
        paired_e_value(wins, losses, ties, **kind), rel=1e-9
    )


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=3),
    alternatives,
    st.integers(1, 3),
    rows,
)
@settings(max_examples=60)
def test_over_all_outcomes_at_the_margin_the_mean_is_one_and_with_shared_rows_at_most_one(
    distribution, alternative, n, r
):
    total = sum(weight for _, weight in distribution)
    chances = [(value, weight / total) for value, weight in distribution]
    margin = min(max(sum(value * chance for value, chance in chances), -0.99), 0.99)
    if any(abs(value - margin) < 1e-12 for value, _ in chances) and len(chances) == 1 and abs(margin) == 0.99:
        return  # a certain difference of 1 is no margin
    mean = sum(
        prod(chance for _, chance in outcome)
        * difference_e_value(
            [(value, 1) for value, _ in outcome], margin=margin, alternative=alternative, rows_per_observation=r
        )
        for outcome in itertools.product(chances, repeat=n)
    )
    expected = sum(value * chance for value, chance in chances)
    if expected == margin:
        assert mean <= 1 + 1e-9
        assert r > 1 or mean == pytest.approx(1)


FRAUD = 0.01
"""The share of the rare class; one of the other counts FRAUD / (1 - FRAUD) of it, and the margin of 2 points of
balanced accuracy is 2 * FRAUD * 0.02 on that scale."""


def on_stream(rng, n, lost_fraud, lost_fine, alternative, looks=20):
    """The highest e-value at any of the looks; losses are of these shares of each class."""
    fraud = rng.random(n) < FRAUD
    lost = rng.random(n) < np.where(fraud, lost_fraud, lost_fine)
    found, weight = 0.0, FRAUD / (1 - FRAUD)
    for now in range(n // looks, n + 1, n // looks):
        of_fraud, of_fine = int((lost & fraud)[:now].sum()), int((lost & ~fraud)[:now].sum())
        cells = [(1.0, of_fraud), (weight, of_fine), (0.0, now - of_fraud - of_fine)]
        found = max(found, difference_e_value(cells, margin=2 * FRAUD * 0.02, alternative=alternative))
    return found


def test_on_a_stream_of_one_percent_what_loses_the_rare_class_is_worse_and_an_equal_one_is_not():
    rng = np.random.default_rng(5)
    assert all(on_stream(rng, 5000, 0.7, 0.0, "worse") > 100 for _ in range(20))
    assert all(on_stream(rng, 40_000, 0.0, 0.0, "not_worse") > 20 for _ in range(3))
    assert all(on_stream(rng, 5000, 0.7, 0.0, "not_worse") < 20 for _ in range(20))


@pytest.mark.parametrize("alternative", ["worse", "not_worse"])
def test_at_the_margin_of_balanced_accuracy_it_is_wrong_in_at_most_alpha(alternative):
    """2 points under: 4 of the rare class and none of the other, or 2 and 2."""
    rng, runs = np.random.default_rng(6), 150
    for lost_fraud, lost_fine in ((0.04, 0.0), (0.02, 0.02)):
        wrong = sum(on_stream(rng, 20_000, lost_fraud, lost_fine, alternative) >= 20 for _ in range(runs))
        assert wrong <= binom.ppf(0.995, runs, 0.05)


def test_days_alike_are_called_different_in_at_most_one_percent_and_days_that_differ_nearly_always():
    rng, runs = np.random.default_rng(7), 400
    alike = [[tuple(rng.multinomial(800, [0.05, 0.05, 0.9])) for _ in range(7)] for _ in range(runs)]
    called = sum(days_differ(days, rows_per_observation=1.0) is not None for days in alike)
    assert called <= binom.ppf(0.995, runs, 0.01)
    shift = rng.normal(0, 0.03, (runs, 7))
    storms = [
        [tuple(rng.multinomial(800, [0.06 - s, 0.06 + s, 0.88])) for s in np.clip(each, -0.06, 0.06)] for each in shift
    ]
    found = [days_differ(days, rows_per_observation=1.0) for days in storms]
    assert sum(each is not None for each in found) > 0.8 * runs
    assert all(
        days_differ(days, rows_per_observation=each) is None for days, each in zip(storms, found, strict=True) if each
    )


@pytest.mark.parametrize("days", [[], [(5, 5, 90)], [(0, 0, 0), (5, 5, 90)], [(0, 0, 10), (0, 0, 50)]])
def test_one_day_or_days_without_a_difference_say_nothing(days):
    assert days_differ(days, rows_per_observation=1.0) is None


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([(1.1, 1)], {"margin": 0.0}),
        ([(0.5, -1)], {"margin": 0.0}),
        ([(float("nan"), 1)], {"margin": 0.0}),
        ([], {"margin": 1.0}),
        ([], {"margin": 0.0, "rows_per_observation": 0.5}),
        ([], {"margin": 0.0, "rows_per_observation": float("nan")}),
    ],
)
def test_what_is_impossible_is_refused(cells, kind):
    with pytest.raises(InvalidInputError):
        difference_e_value(cells, **kind)
