"""Two-sample Kolmogorov-Smirnov test: the largest gap between two distribution functions."""

from math import sqrt
from typing import NamedTuple

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins import MISSING, Column, NumericBins, as_numbers
from mlops_dagster.statistics.histograms import Histogram


class KsResult(NamedTuple):
    """`statistic` is D, from 0 (equal) to 1 (disjoint); `pvalue` is two-sided."""

    statistic: float
    pvalue: float


def ks_two_sample(reference: Column, current: Column) -> KsResult:
    """The two-sample Kolmogorov-Smirnov test of two samples of numbers.

        D = max over x of |F(x) - G(x)|,  F and G the empirical distribution functions

    Missing values are left out. D is an effect size and does not shrink with more data, the p-value does: with a
    million rows, a D of 0.003 is significant and of no interest. The p-value is exact for up to 10,000 values each
    and asymptotic above; it is for one look and for values without ties (with ties it is too large).

    Raises InvalidInputError for a sample without values.

    >>> result = ks_two_sample([0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.5, 0.6])
    >>> result.statistic, round(result.pvalue, 4)
    (0.5, 0.7714)

    Source: J. L. Hodges, The significance probability of the Smirnov two-sample test, Arkiv foer Matematik 1958.
    """
    before, after = as_numbers(reference), as_numbers(current)
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    if len(before) == 0 or len(after) == 0:
        raise InvalidInputError(f"no values to compare: {len(before)} in the reference, {len(after)} now")
    from scipy.stats import ks_2samp

    result = ks_2samp(before, after)
    return KsResult(float(result.statistic), float(result.pvalue))


def ks_from_counts(reference: Histogram, current: Histogram) -> KsResult:
    """The same test from counts over the same numeric bins.

    D is never above that of the values, and below it by no more than the reference's share in its fullest cell (half a
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
