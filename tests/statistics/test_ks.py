"""Kolmogorov-Smirnov against scipy, and its counts against its samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstwo

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins, ks_from_counts, ks_two_sample

samples = st.lists(st.floats(-5, 5), min_size=1, max_size=80)


def gap(reference, current):
    """D by its definition."""
    return max(
        abs(np.mean(np.asarray(reference) <= x) - np.mean(np.asarray(current) <= x)) for x in [*reference, *current]
    )


@given(samples, samples)
def test_statistic_is_the_largest_gap(reference, current):
    assert ks_two_sample([*reference, None], [*current, None]).statistic == pytest.approx(gap(reference, current))


@given(samples, samples, st.integers(1, 40))
def test_counts_miss_no_more_than_the_fullest_cell(reference, current, cells):
    bins = NumericBins.fit(reference, cells=cells)
    before, after = Histogram.of(bins, [*reference, None]), Histogram.of(bins, current)
    exact, binned = gap(reference, current), ks_from_counts(before, after).statistic
    assert binned <= exact + 1e-12
    assert exact <= binned + before.counts[1:].max() / len(reference) + 1e-12


def test_by_hand():
    # of the 20 orders in which two samples of three can lie, two are as disjoint as this one
    assert ks_two_sample([1, 2, 3], [4, 5, 6]) == pytest.approx((1.0, 2 / 20))


def test_pvalue_of_counts_is_that_of_the_samples():
    rng = np.random.default_rng(5)
    reference, current = rng.normal(size=20_000), rng.normal(0.02, size=12_000)
    bins = NumericBins.fit(reference, cells=2_000)
    binned = ks_from_counts(Histogram.of(bins, reference), Histogram.of(bins, current))
    exact = ks_two_sample(reference, current)
    assert binned.statistic == pytest.approx(exact.statistic, abs=5e-4)
    assert binned.pvalue == pytest.approx(kstwo.sf(binned.statistic, 20_000 * 12_000 / 32_000), rel=0.03)


def test_extremes_of_counts():
    bins = NumericBins((0.0,))
    low, high = Histogram(bins, np.array([5, 1000, 0])), Histogram(bins, np.array([0, 0, 1000]))
    assert ks_from_counts(low, low) == (0.0, 1.0)
    assert ks_from_counts(low, high) == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks_two_sample([None], [1.0]), "0 in the reference"),
        (lambda: ks_two_sample([1.0], []), "0 now"),
        (lambda: ks_from_counts(*[Histogram.of(CategoricalBins(("a",)), ["a"])] * 2), "chi_squared"),
        (lambda: ks_from_counts(*[Histogram.of(NumericBins(()), [None])] * 2), "no values"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
