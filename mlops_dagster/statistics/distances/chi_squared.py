"""The chi-squared test of homogeneity: a test that two sets of labels have the same distribution."""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.columns import is_missing, tally


class ChiSquaredResult(NamedTuple):
    """The test's result: `statistic` (0 or more), `dof` (degrees of freedom) and the one-sided `pvalue`."""

    statistic: float
    dof: int
    pvalue: float


def chi_squared(reference_labels: Iterable[Hashable], current_labels: Iterable[Hashable]) -> ChiSquaredResult:
    """Test by Pearson's chi-squared whether two samples of labels have the same distribution.

        X2 = sum over both samples and all labels of (observed - expected)^2 / expected
        dof = number of labels - 1

    Missing labels (None, NaN, NaT, pandas.NA) count as one more label. There is no continuity correction. A label in
    neither sample does not count; with a single label the samples cannot differ: statistic 0, p-value 1. Expected
    counts below five make the p-value rough.

    Raises InvalidInputError for an empty sample, and for labels that are not hashable (lists, rows of an array).

    >>> result = chi_squared(["late"] * 10 + ["on_time"] * 20, ["late"] * 20 + ["on_time"] * 10)
    >>> round(result.statistic, 4), result.dof, round(result.pvalue, 4)
    (6.6667, 1, 0.0098)

    Source: K. Pearson, Philosophical Magazine 50, 1900.
    """
    before, after = _times(reference_labels), _times(current_labels)
    labels = list(before | after)
    return chi_squared_from_counts([before[label] for label in labels], [after[label] for label in labels])


def chi_squared_from_counts(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> ChiSquaredResult:
    """Test as `chi_squared` does, from the count of each label, in the same order on both sides.

    Raises InvalidInputError for unequal lengths, negative counts, or a side without any.

    >>> chi_squared_from_counts([10, 20], [20, 10]).dof
    1
    """
    before, after = np.asarray(reference_counts, dtype=np.float64), np.asarray(current_counts, dtype=np.float64)
    if before.ndim != 1 or before.shape != after.shape:
        raise InvalidInputError(f"both sides need a count for each label, got shapes {before.shape} and {after.shape}")
    observed = np.stack([before, after])
    totals = observed.sum(axis=1, keepdims=True)
    if (observed < 0).any() or (totals == 0).any():
        raise InvalidInputError(f"both sides need labels and no negative count, got {before} and {after}")
    observed = observed[:, observed.sum(axis=0) > 0]
    expected = totals * observed.sum(axis=0) / totals.sum()
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    dof = observed.shape[1] - 1
    if dof == 0:
        return ChiSquaredResult(0.0, 0, 1.0)
    from scipy.special import chdtrc

    return ChiSquaredResult(statistic, dof, float(chdtrc(dof, statistic)))


def _times(labels: Iterable[Hashable]) -> Counter[Hashable]:
    """Return the count of each label, with None for all missing ones."""
    times: Counter[Hashable] = Counter()
    for label, n in _distinct(labels):
        times[None if is_missing(label) else label] += n
    return times


def _distinct(labels: Iterable[Hashable]) -> Iterable[tuple[Hashable, int]]:
    """Return the labels with their counts, as a Counter does; faster for an array of strings."""
    try:
        if getattr(getattr(labels, "dtype", None), "kind", None) == "O":
            distinct, times = tally(np.asarray(labels, dtype=object))
            if all(is_missing(label) or isinstance(label, str) for label in distinct):
                return zip(distinct, times, strict=True)
        return Counter(labels).items()
    except TypeError as error:
        raise InvalidInputError(f"labels are a list of hashable values, one for each row: {error}") from error
