"""Large columns are sorted, tallied and compared in quick ways, each of which finds what the plain way finds."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from mlops_dagster.statistics import (
    CategoricalBins,
    Histogram,
    NumericBins,
    chi_squared,
    chi_squared_from_counts,
    ks_two_sample,
    psi,
    psi_from_counts,
)
from mlops_dagster.statistics.bins.columns import is_missing

pytestmark = pytest.mark.slow

few_examples = settings(max_examples=50)
nan = float("nan")
floats = st.one_of(st.floats(), st.sampled_from([nan, np.inf, -np.inf, 0.0, -0.0, 1.0]), st.floats(-3, 3))
numbers = st.lists(st.one_of(st.none(), st.booleans(), st.integers(-3, 3), floats), min_size=1, max_size=300)
strings = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "é"])), min_size=1, max_size=30)
anything = st.lists(
    st.one_of(st.none(), st.booleans(), st.sampled_from(["a", "b", "1", nan, 0, 1, 1.0, 2**53 + 1, pd.NA]))
)


def column(values, rows):
    """So many rows of the values, over and over."""
    return np.resize(np.fromiter(values, dtype=object), rows)


@few_examples
@given(numbers, st.sampled_from([1, 5, 33, 200]), st.sampled_from([100, 70_000]))
def test_numbers_are_counted_as_if_each_were_looked_up(values, cells, rows):
    training, large = column(values, len(values)), column([*values, 0.5, nan], rows)
    bins, counts = NumericBins.fit_and_count(training, cells)
    assert bins == NumericBins.fit(training, cells)
    assert counts.tolist() == np.bincount(bins.index(training), minlength=bins.size).tolist()
    assert bins.count(large).tolist() == np.bincount(bins.index(large), minlength=bins.size).tolist()


@pytest.mark.parametrize("edges", [0, 1, 30, 200])  # few are compared, many are looked up among the sorted
def test_a_number_on_an_edge_is_in_the_cell_above(edges):
    values = [*range(-3, 203), nan] * 400
    bins = NumericBins(tuple(map(float, range(edges))))
    assert bins.count(values).tolist() == np.bincount(bins.index(values), minlength=bins.size).tolist()


RNG = np.random.default_rng(9)
LARGEST = np.finfo(np.float64).max


@pytest.mark.parametrize(
    "drawn",
    [
        RNG.normal(1e9, 1e-3, size=70_000),
        RNG.normal(size=70_000).round(2),  # each is an edge
        RNG.standard_cauchy(70_000),  # nearly all are in a step with an edge
        RNG.choice([-LARGEST, LARGEST], 70_000) * RNG.random(70_000),  # wider than any float
        RNG.integers(0, 300, 70_000) * 5e-324,  # as near as floats are
    ],
)
@pytest.mark.filterwarnings("error")
def test_numbers_are_counted_to_the_last_bit(drawn):
    bins = NumericBins.fit(drawn)
    outside = [nan, np.inf, -np.inf, LARGEST, -LARGEST, 0.0]
    edges = np.repeat(bins.edges, 3)
    edges[::3], edges[2::3] = np.nextafter(edges[::3], -np.inf), np.nextafter(edges[2::3], np.inf)
    values = np.concatenate([drawn, outside, edges])
    assert len(bins.edges) > 100
    assert bins.count(values).tolist() == np.bincount(bins.index(values), minlength=bins.size).tolist()


@few_examples
@given(numbers, numbers)
def test_psi_of_numbers_is_that_of_each_looked_up(before, after):
    reference, current = column(before, 70_000).astype(np.float64), column(after, 70_000).astype(np.float64)
    bins = NumericBins.fit(reference, cells=10)
    plain = [Histogram(bins, np.bincount(bins.index(side), minlength=bins.size)) for side in (reference, current)]
    assert psi(reference, current) == psi_from_counts(*plain)


@few_examples
@given(st.one_of(strings, anything), st.integers(0, 4))
@example(["a", pd.Timestamp(0), None, pd.NaT], 3)
def test_categories_are_counted_as_if_each_were_looked_up(values, most):
    large = column([*values, "a"], 60_000)
    bins, counts = CategoricalBins.fit_and_count(large, most)
    times = Counter(value for value in large if isinstance(value, str))
    assert bins.categories == tuple(sorted(sorted(times, key=lambda word: (-times[word], word))[:most]))
    assert counts.tolist() == np.bincount(bins.index(large), minlength=bins.size).tolist()
    assert counts.tolist() == bins.count(large).tolist()


@few_examples
@given(st.one_of(strings, anything), st.one_of(strings, anything))
@example(["a", nan], [nan, float("-nan"), None])
@example([(1, 2), (1, None)], [(1, nan), None])
@example([2**53, 2**53 + 1, 0.5], [True, None])
def test_chi_squared_is_that_of_a_counter(before, after):
    reference, current = column([*before, "a"], 60_000), column([*after, "a"], 60_001)
    plain = [Counter(None if is_missing(label) else label for label in side.tolist()) for side in (reference, current)]
    labels = list(plain[0] | plain[1])
    expected = chi_squared_from_counts(*([times[label] for label in labels] for times in plain))
    assert chi_squared(reference, current) == expected
    assert chi_squared(pd.Series(reference), iter(current)) == expected


@few_examples
@given(numbers, numbers, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-3, 1.0]), st.integers(1, 20_000))
def test_kolmogorov_smirnov_is_that_of_scipy_to_the_last_bit(before, after, seed, noise, rows):
    rng = np.random.default_rng(seed)
    reference, current = column([*before, 0.0], 10_001).astype(float), column([*after, 1.0], rows).astype(float)
    reference, current = (side + noise * rng.integers(0, 5_000, len(side)) for side in (reference, current))
    if np.isnan(current).all():
        current[0] = 0.0
    expected = ks_2samp(reference[~np.isnan(reference)], current[~np.isnan(current)])
    assert ks_two_sample(reference, current) == (expected.statistic, expected.pvalue)


@pytest.mark.parametrize("shift", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("decimals", [1, 3, 17])
def test_kolmogorov_smirnov_of_many_rows_is_that_of_scipy(shift, decimals):
    rng = np.random.default_rng(8)
    reference = rng.normal(size=200_000).round(decimals)
    current = rng.normal(shift, size=123_457).round(decimals)
    expected = ks_2samp(reference, current)
    assert ks_two_sample(reference, current) == (expected.statistic, expected.pvalue)
    assert ks_two_sample(reference, reference) == (0.0, 1.0)


def test_small_columns_wait_for_no_import_of_pandas():
    program = """
import sys
import numpy as np
from mlops_dagster.statistics import chi_squared, psi
words = np.array(["a", "b", None], dtype=object)
psi(words, words), psi([1.0], [2.0]), chi_squared(words, words)
assert not {"pandas", "pyarrow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
