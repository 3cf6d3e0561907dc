"""The two-sample Kolmogorov-Smirnov test: the largest gap between two distribution functions."""

from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.columns import MISSING, Column, as_numbers
from mlops_dagster.statistics.bins.histogram import Histogram
from mlops_dagster.statistics.bins.numeric import NumericBins

_EXACT: Final = 10_000  # the most values with scipy's exact p-value
_STEP: Final = 200  # values between two marks

_Sorted: TypeAlias = npt.NDArray[np.float64]


class KsResult(NamedTuple):
    """The test's result: `statistic` is D, from 0 (equal) to 1 (disjoint); `pvalue` is two-sided."""

    statistic: float
    pvalue: float


def ks_two_sample(reference: Column, current: Column) -> KsResult:
    """Test by Kolmogorov-Smirnov whether two samples of numbers have the same distribution.

        D = max over x of |F(x) - G(x)|,  F and G the empirical distribution functions

    Missing values are left out. D is an effect size and does not shrink with more data, but the p-value does: with a
    million rows, a D of 0.003 is significant but irrelevant. The p-value is exact for up to 10,000 values each and
    asymptotic above; it is for a single test and for values without ties (with ties it is too large).

    Raises InvalidInputError for a sample without values.

    >>> result = ks_two_sample([0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.5, 0.6])
    >>> result.statistic, round(result.pvalue, 4)
    (0.5, 0.7714)

    Source: J. L. Hodges, The significance probability of the Smirnov two-sample test, Arkiv foer Matematik 1958.
    """
    before, after = _sorted(reference), _sorted(current)
    n, m = len(before), len(after)
    if n == 0 or m == 0:
        raise InvalidInputError(f"no values to compare: {n} in the reference, {m} now")
    from scipy.stats import ks_2samp, kstwo

    if max(n, m) <= _EXACT:
        result = ks_2samp(before, after)
        return KsResult(float(result.statistic), float(result.pvalue))
    statistic = _largest_gap(before, after)
    return KsResult(statistic, float(kstwo.sf(statistic, round(float(n) * m / (n + m)))))


def ks_from_counts(reference: Histogram, current: Histogram) -> KsResult:
    """Test as `ks_two_sample` does, from counts over the same numeric bins.

    D is never above that of the values, and below it by at most the reference's share in its fullest cell (half a
    percent with 200 quantile cells and no ties). The p-value is that of Kolmogorov's limit, for x = D sqrt(nm / (n+m)):
    2 * sum over k >= 1 of (-1)^(k-1) exp(-2 k^2 x^2).

    Raises InvalidInputError for categories, for different bins, and for a histogram without values.

    >>> bins = NumericBins(edges=(0.25, 0.5, 0.75))
    >>> low, high = Histogram(bins, [0, 40, 30, 20, 10]), Histogram(bins, [0, 10, 20, 30, 40])
    >>> result = ks_from_counts(low, high)
    >>> round(result.statistic, 6), round(result.pvalue, 6)
    (0.4, 0.0)
    """
    if not isinstance(reference.bins, NumericBins):
        raise InvalidInputError("Kolmogorov-Smirnov needs an order, categories have none; use chi_squared_from_counts")
    if reference.bins != current.bins:
        raise InvalidInputError("histograms over different bins do not compare; count both over the same bins")
    before, after = np.cumsum(reference.counts[MISSING + 1 :]), np.cumsum(current.counts[MISSING + 1 :])
    n, m = int(before[-1]), int(after[-1])
    if n == 0 or m == 0:
        raise InvalidInputError(f"no values to compare: {n} in the reference, {m} now")
    from scipy.special import kolmogorov

    statistic = float(np.max(np.abs(before / n - after / m)))
    return KsResult(statistic, float(kolmogorov(statistic * sqrt(n * m / (n + m)))))


def _sorted(column: Column) -> _Sorted:
    numbers = np.sort(as_numbers(column))
    return numbers[: np.searchsorted(numbers, np.nan)]  # NaN is sorted last


def _largest_gap(before: _Sorted, after: _Sorted) -> float:
    """Return D of two sorted samples, equal to that of `scipy.stats.ks_2samp` to the last bit.

    F and G only rise, so between two marks F - G is at most F at the upper mark less G at the lower one. Values between
    two marks are examined only if that is more than the largest gap at any mark.
    """
    marks = np.unique(np.concatenate([before[::_STEP], before[-1:], after[::_STEP], after[-1:]]))
    i, j = _ranks(before, after, marks)
    f, g = i / len(before), j / len(after)
    at_marks = np.max(np.abs(f - g))
    larger = np.maximum(f[1:] - g[:-1], g[1:] - f[:-1]) > at_marks
    between = [sample[at[0] :][np.repeat(larger, np.diff(at))] for sample, at in ((before, i), (after, j))]
    i, j = _ranks(before, after, np.concatenate(between))
    return float(np.max(np.abs(i / len(before) - j / len(after)), initial=at_marks))


def _ranks(before: _Sorted, after: _Sorted, values: _Sorted) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return, for each of `values`, the number of values of each sample that are not above it."""
    return np.searchsorted(before, values, side="right"), np.searchsorted(after, values, side="right")
