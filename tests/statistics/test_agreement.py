"""Our numbers are those of scipy and of Evidently on many shapes; where they differ on purpose, it is said how."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from math import inf, log, nan
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import (
    CategoricalBins,
    Histogram,
    NumericBins,
    chi_squared,
    chi_squared_from_counts,
    ks_from_counts,
    ks_two_sample,
    psi,
    psi_from_counts,
)
from tests.support.evidently_numbers import TEXTS, shapes

pytestmark = pytest.mark.slow

SHAPES = shapes()
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def evidently() -> dict[str, tuple[float | str, float | str]]:
    """Its PSI, and the p-value of its Kolmogorov-Smirnov or chi-squared test; the name of an error instead."""
    program = [sys.executable, "-m", "tests.support.evidently_numbers"]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    found: dict[str, tuple[float | str, float | str]] = json.loads(done.stdout)
    return found


def with_their_bins(name: str) -> float:
    """Our PSI over the groups that Evidently makes: Sturges' of both samples together, or the distinct values."""
    before, after = SHAPES[name]
    both = pd.concat([before, after])
    if before.nunique() > 20:
        edges = np.histogram_bin_edges(both.to_numpy(), bins="sturges")[1:-1]
        bins = NumericBins(tuple(edges))
    else:
        bins = NumericBins.fit(both.to_numpy())
    return psi_from_counts(Histogram.of(bins, before), Histogram.of(bins, after), bins=1000)


@pytest.mark.parametrize("name", ["smooth", "constant", "booleans", "large integers"])
def test_the_psi_is_that_of_evidently_over_its_bins(name: str, evidently: dict[str, tuple[float, float]]) -> None:
    assert with_their_bins(name) == pytest.approx(evidently[name][0], rel=1e-9, abs=1e-12)


def test_the_psi_of_strings_is_that_of_evidently(evidently: dict[str, tuple[float, float]]) -> None:
    assert psi(*SHAPES["strings"]) == pytest.approx(evidently["strings"][0])
    assert psi(*SHAPES["booleans"]) == pytest.approx(evidently["booleans"][0])


@pytest.mark.parametrize("name", ["smooth", "constant", "few rows", "heavy tails", "inf", "large integers", "dates"])
def test_the_ks_pvalue_is_that_of_scipy_and_evidently(name: str, evidently: dict[str, tuple[float, float]]) -> None:
    before, after = SHAPES[name]
    found = ks_two_sample(before, after)
    assert found == pytest.approx(stats.ks_2samp(before, after)[:2])
    assert found.pvalue == pytest.approx(evidently[name][1])
    fine = NumericBins.fit(before, cells=1000)
    binned = ks_from_counts(Histogram.of(fine, before), Histogram.of(fine, after)).statistic
    share = Histogram.of(fine, before).counts[1:].max() / len(before)
    assert found.statistic - share - 1e-12 <= binned <= found.statistic + 1e-12


@pytest.mark.parametrize("name", TEXTS)
def test_chi_squared_is_that_of_scipy(name: str) -> None:
    before, after = SHAPES[name]
    table = pd.crosstab(
        np.repeat(["before", "after"], [len(before), len(after)]), pd.concat([before, after]).to_numpy()
    )
    expected = stats.chi2_contingency(table, correction=False)
    found = chi_squared(before, after)
    assert found == pytest.approx((expected.statistic, expected.dof, expected.pvalue))


def test_chi_squared_takes_the_reference_for_a_sample_and_evidently_for_the_truth(
    evidently: dict[str, tuple[float, float]],
) -> None:
    """So they agree on a reference a hundred times as large, and Evidently is too sure on one as large."""
    assert chi_squared(*SHAPES["strings"]).pvalue == pytest.approx(evidently["strings"][1], rel=0.06)
    before, after = SHAPES["booleans"]
    ours = chi_squared(before, after).pvalue
    assert evidently["booleans"][1] < ours / 2
    exact = [60, 20]  # 300 and 100 of 400, of 80 rows
    assert evidently["booleans"][1] == pytest.approx(stats.chisquare([50, 30], exact).pvalue)


def test_a_number_that_is_new_among_few_is_new_at_evidently_too(evidently: dict[str, tuple[float, float]]) -> None:
    """0 and 1, half each; then 0, 1 and 5, of which Evidently takes a ten thousandth for none, and we half a row."""
    common = (0.3 - 0.5) * log(0.3 / 0.5)
    assert psi(*SHAPES["new number"]) == pytest.approx(common + (0.2 - 0.005) * log(0.2 / 0.005))
    assert evidently["new number"][0] == pytest.approx(common + (0.2 - 0.0001) * log(0.2 / 0.0001), rel=1e-3)


# What follows differs on purpose.


def test_missing_values_are_a_group_and_evidently_refuses_or_ignores_them(
    evidently: dict[str, tuple[float | str, float | str]],
) -> None:
    assert evidently["all missing"][0] == evidently["some missing"][0] == "ValueError"
    assert np.isnan(float(evidently["all missing"][1]))
    assert np.isnan(float(evidently["some missing"][1]))
    assert psi(*SHAPES["all missing"]) == 0
    with pytest.raises(InvalidInputError, match="0 in the reference"):
        ks_two_sample(*SHAPES["all missing"])
    before, after = SHAPES["some missing"]
    assert ks_two_sample(before, after) == pytest.approx(stats.ks_2samp(before, after, nan_policy="omit")[:2])
    p, q = before.isna().mean(), after.isna().mean()
    assert psi(before, after) >= (q - p) * log(q / p) > 0


def test_an_unseen_category_has_half_an_observation_and_at_evidently_a_ten_thousandth(
    evidently: dict[str, tuple[float, float]],
) -> None:
    """80, 20, 0 of 100 against 60, 20, 20: theirs is larger for the constant that it puts in."""
    common = (0.6 - 0.8) * log(0.6 / 0.8)
    assert psi(*SHAPES["new category"]) == pytest.approx(common + (0.2 - 0.005) * log(0.2 / 0.005))
    assert evidently["new category"][0] == pytest.approx(common + (0.2 - 0.0001) * log(0.2 / 0.0001))
    assert evidently["new category"][1] == 0  # infinitely many more than none
    assert chi_squared(*SHAPES["new category"]).pvalue > 1e-6


def test_the_edges_are_quantiles_of_the_reference_and_at_evidently_of_equal_width(
    evidently: dict[str, tuple[float, float]],
) -> None:
    """So that heavy tails do not put all that matters in one bin."""
    assert evidently["heavy tails"][0] < 0.02
    before, after = SHAPES["heavy tails"]
    quantiles = [-inf, *np.quantile(before, np.arange(1, 10) / 10), inf]
    p, q = (np.histogram(each, quantiles)[0] / len(each) for each in (before, after))
    assert psi(before, after) == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
    assert psi(before, after) > 0.1


def test_infinities_and_dates_are_counted_and_evidently_refuses_them(
    evidently: dict[str, tuple[float | str, float | str]],
) -> None:
    assert evidently["inf"][0] == "ValueError"
    assert 0 < psi(*SHAPES["inf"]) < inf
    assert isinstance(evidently["dates"][0], str)
    before, after = SHAPES["dates"]
    assert psi(before, after) == pytest.approx(psi(before.astype("int64"), after.astype("int64")))
    late = pd.Series([*after, pd.NaT])
    bins = NumericBins.fit(before)
    assert bins.count(late).tolist() == [1, *bins.count(after)[1:]]
    zoned = before.dt.tz_localize("UTC")
    assert bins.count(zoned).tolist() == bins.count(before).tolist()


def test_an_integer_that_no_float_holds_is_infinite(evidently: dict[str, tuple[float | str, float | str]]) -> None:
    before, after = SHAPES["too large integers"]
    assert evidently["too large integers"][1] in ("OverflowError", "TypeError")
    assert ks_two_sample(before, after).statistic == pytest.approx(1 / 3)
    assert NumericBins((0.0,)).count([10**400, -(10**400), 3, None, nan]).tolist() == [2, 1, 2]


def test_booleans_and_strings_are_what_they_are() -> None:
    before, after = SHAPES["booleans"]
    assert psi(before, after) == psi(before.astype(float), after.astype(float))
    assert psi(before.astype(str), after.astype(str)) == pytest.approx(psi(before, after))
    with pytest.raises(InvalidInputError, match="numbers with numbers"):
        psi(before, after.astype(str))
    assert CategoricalBins(("1",)).count([1, "1", True]).tolist() == [0, 1, 2]


def test_columns_of_pandas_types() -> None:
    bins = NumericBins((0.5,))
    for column in (
        [1, pd.NA, 0],
        pd.Series([True, pd.NA, False], dtype="boolean").to_numpy(),
        pd.Series([1, pd.NA, 0], dtype="Int64"),
        pd.Series([1.0, None, 0.0], dtype="Float64"),
        pd.Series([True, pd.NA, False], dtype="boolean"),
        pd.Series([True, None, False], dtype=object),
    ):
        assert bins.count(column).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "column",
    [
        [MARCH, None, MARCH + timedelta(days=1)],
        [MARCH.date(), float("nan"), (MARCH + timedelta(days=1)).replace(tzinfo=None)],
        pd.Series([MARCH, pd.NaT, MARCH.astimezone(timezone(timedelta(hours=9))) + timedelta(days=1)], dtype=object),
        pd.Series([MARCH.date(), pd.NA, MARCH.date() + timedelta(days=1)]).astype("date32[pyarrow]"),
        pa.array([MARCH, None, MARCH + timedelta(days=1)]),
        [np.datetime64("2026-03-01"), pd.NaT, np.datetime64("2026-03-02")],
    ],
)
def test_dates_are_times_however_they_are_written(column: npt.ArrayLike) -> None:
    plain = pd.Series(pd.to_datetime(["2026-03-01", None, "2026-03-02"]))
    assert ks_two_sample(column, plain) == ks_two_sample(plain, plain)
    bins = NumericBins.fit(plain)
    assert bins.edges == NumericBins.fit(column).edges
    assert bins.count(column).tolist() == [1, 0, 1, 1, 0]
    assert psi(plain, column) == 0


def test_missing_labels_are_one_label_however_they_are_written() -> None:
    labels, others = ["a", None, float("nan"), "b"] * 5, pd.Series(["a", pd.NA, float("nan"), "b"] * 5)
    assert chi_squared(labels, others) == (0.0, 2, 1.0)
    floats = np.array([1.0, np.nan, np.nan, 2.0])
    assert chi_squared(floats, floats).dof == 2


@pytest.mark.parametrize("column", [np.zeros((4, 5)), pd.DataFrame({"a": ["x"], "b": ["y"]}), [[1, 2], [3, 4]], 1.0])
def test_what_is_no_column_is_refused(column: npt.ArrayLike) -> None:
    for test in (psi, ks_two_sample):
        with pytest.raises(InvalidInputError, match="for each row, not an array of shape"):
            test(column, column)
    assert psi(np.zeros((4, 1)), [0.0]) == 0


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_row_or_two_are_enough_to_be_told_something(rows: int) -> None:
    assert 0 <= psi([1.0], [2.0] * rows) < inf
    assert ks_two_sample([1.0], [2.0] * rows).pvalue == pytest.approx(2 / (rows + 1), abs=1e-9)
    assert chi_squared_from_counts([1, 0], [0, rows]).pvalue < 1
