"""Bins and histograms: every value in exactly one cell, and counts that add up."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins, bins_from_json, bins_to_json

numbers = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, 5e-324, -1.7e308, 1.7e308]))
columns = st.lists(numbers, max_size=60)
words = st.lists(st.one_of(st.none(), st.sampled_from(["AA", "UA", "B6", "DL", ""])), max_size=60)


@given(columns, columns, st.integers(1, 30))
def test_each_number_is_in_the_cell_whose_edges_enclose_it(training, values, cells):
    bins = NumericBins.fit(training, cells=cells)
    edges = (-np.inf, *bins.edges, np.inf)
    expected = [0] * bins.size
    for value, cell in zip(values, bins.index(values), strict=True):
        if value is None or np.isnan(value):
            assert cell == 0
        elif value == np.inf:
            assert cell == bins.size - 1
        else:
            assert edges[cell - 1] <= value < edges[cell]
        expected[cell] += 1
    assert bins.count(values).tolist() == expected


@given(columns, st.integers(1, 30))
def test_fitted_edges_are_as_many_as_asked_and_tell_few_values_apart(training, cells):
    bins = NumericBins.fit(training, cells=cells)
    finite = {value for value in training if value is not None and np.isfinite(value)}
    if len(finite) <= cells:
        assert len(bins.edges) <= max(len(finite) + 1, 2)
        assert len(set(bins.index(sorted(finite)).tolist())) == len(finite)
    else:
        assert len(bins.edges) <= cells - 1


def test_fitted_cells_hold_equal_shares():
    values = np.random.default_rng(1).lognormal(size=100_000)
    counts = NumericBins.fit(values).count(values)
    assert len(counts) == 201
    assert counts[0] == 0
    assert counts[1:].tolist() == [500] * 200


def test_one_value_more_than_cells_makes_no_more_cells():
    assert len(NumericBins.fit(range(20), cells=20).edges) == 19 + 2  # and one on either side
    assert len(NumericBins.fit(range(21), cells=20).edges) == 19


def test_a_frequent_value_has_a_cell_of_its_own():
    rain = np.concatenate([np.zeros(900), np.random.default_rng(2).exponential(size=1000)])
    bins = NumericBins.fit(rain, cells=20)
    assert bins.count(rain)[bins.index([0.0])[0]] == 900


def test_a_cap_is_told_from_what_is_above_it():
    seen = np.concatenate([np.full(900, 10.0), np.random.default_rng(2).uniform(0, 10, 1000)])
    bins = NumericBins.fit(seen)
    assert bins.index([10.0])[0] < bins.index([10.1])[0] == bins.size - 1
    assert bins.count(seen)[-1] == 0


def test_a_constant_is_told_from_other_values():
    bins = NumericBins.fit([7.0] * 50)
    assert bins.count([6.9, 7.0, 7.0, 7.1]).tolist() == [0, 1, 2, 1]
    largest = np.finfo(np.float64).max
    assert NumericBins.fit([largest] * 3).count([1.0, largest, np.inf]).tolist() == [0, 1, 2]


def test_few_values_are_told_from_what_is_beyond_them():
    bins = NumericBins.fit([1.0, 3.0, 3.0, 11.0])
    assert bins.count([-np.inf, -0.1, 0.0, 1.9, 3.0, 14.9, 15.0, np.inf]).tolist() == [0, 2, 2, 1, 1, 2]
    nothing_finite = NumericBins.fit([np.inf, -np.inf])
    assert nothing_finite.count([-np.inf, -1e308, 1e308, np.inf, np.inf]).tolist() == [0, 1, 2, 2]


@given(words, words, st.integers(0, 6))
def test_each_category_is_in_its_cell(training, values, most):
    bins = CategoricalBins.fit(training, most=most)
    assert bins.size <= most + 2
    expected = [0] * bins.size
    for value, cell in zip(values, bins.index(values), strict=True):
        if value is None:
            assert cell == 0
        elif value in bins.categories:
            assert bins.categories[cell - 1] == value
        else:
            assert cell == bins.size - 1
        expected[cell] += 1
    assert bins.count(values).tolist() == expected


@pytest.mark.parametrize("rows", [100, 60_000])  # counted in two ways
def test_however_many_there_are(rows):
    column = (["b", "a", None, float("nan"), pd.NA, 1, "c", "a", True, 1.0] * rows)[:rows]
    bins = CategoricalBins.fit(column)
    assert bins.categories == ("a", "b", "c")
    assert bins.count(column).tolist() == [3 * rows // 10, rows // 5, rows // 10, rows // 10, 3 * rows // 10]


def test_the_most_frequent_categories_are_kept():
    assert CategoricalBins.fit(["b"] * 3 + ["c"] * 2 + ["a"] * 2 + ["d"], most=2).categories == ("a", "b")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["x", None, "y", float("nan")]),
        pd.Series(["x", pd.NA, "y", None], dtype="string"),
        np.array(["x", None, "y", np.nan], dtype=object),
        ("x", float("nan"), "y", None),
    ],
)
def test_every_way_to_write_missing_counts_as_missing(column):
    bins = CategoricalBins(("x",))
    assert bins.count(column).tolist() == [2, 1, 1]
    assert bins.index(column).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("bins", [NumericBins((-0.1, 1 / 3)), NumericBins(()), CategoricalBins(("é", "b"))])
def test_histograms_survive_json(bins):
    values = [0.2, None, 5.0] if isinstance(bins, NumericBins) else ["b", None, "?"]
    histogram = Histogram.of(bins, values)
    assert bins_from_json(json.loads(json.dumps(bins_to_json(bins)))) == bins
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


@given(columns, columns)
def test_histograms_add_up(morning, evening):
    bins = NumericBins((-1.0, 0.0, 1.0))
    both = Histogram.of(bins, morning) + Histogram.of(bins, evening)
    assert both == Histogram.of(bins, [*morning, *evening])
    assert both.total == len(morning) + len(evening)


def test_a_histogram_cannot_be_changed_from_outside():
    counts = np.array([0, 1, 2])
    histogram = Histogram(NumericBins((0.0,)), counts)
    counts[0] = 9
    assert histogram.counts.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        histogram.counts[0] = 9


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NumericBins((1.0, 1.0)), "increase"),
        (lambda: NumericBins((float("nan"),)), "finite"),
        (lambda: NumericBins((0.0,)).count(["a"]), "not a number"),
        (lambda: NumericBins.fit([1.0], cells=0), "at least one cell"),
        (lambda: CategoricalBins(("a", "a")), "twice"),
        (lambda: Histogram(NumericBins(()), np.array([1])), "as many counts"),
        (lambda: Histogram(NumericBins(()), np.array([1, -1])), "negative"),
        (lambda: Histogram.of(NumericBins(()), [1]) + Histogram.of(NumericBins((0.0,)), [1]), "different bins"),
        (lambda: bins_from_json({"kind": "round"}), "bins_to_json"),
        (lambda: Histogram.from_json({"bins": {}}), "to_json"),
    ],
)
def test_nonsense_is_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
