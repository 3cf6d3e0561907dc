"""The population stability index (PSI): the distance of a distribution from its reference."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.categorical import CategoricalBins
from mlops_dagster.statistics.bins.columns import MISSING, Column, Counts, as_objects, is_missing
from mlops_dagster.statistics.bins.histogram import Histogram
from mlops_dagster.statistics.bins.numeric import NumericBins
from mlops_dagster.statistics.design_effects.design_effect import INDEPENDENT, DesignEffect


def psi(reference: Column, current: Column, *, bins: int = 10) -> float:
    """Return the population stability index of two samples, of numbers or of strings.

        PSI = sum over groups of (q - p) * ln(q / p)

    with p and q the shares of the reference and of the current sample in the group. It is in nats, 0 for equal shares,
    without an upper bound; by convention stable below 0.1 and shifted above 0.25. Small samples have a PSI by chance
    alone: compare with `psi_noise`.

    The groups are at most `bins` intervals between quantiles of the reference; for strings, the most frequent
    `bins - 1`, and the rest as intervals of the alphabet: see `coarsen`. Missing values are one more group, and so are
    strings that the reference does not have (or, with more than 200 in it, not among its 200 most frequent). With no
    more than `bins` different numbers, two more groups are for numbers below and above them all. A group that only one
    sample has would make the PSI infinite: the other sample then counts as having half a row in it. A group in neither
    sample does not count.

    Raises InvalidInputError for an empty sample, and for numbers against strings.

    >>> round(psi(["a"] * 50 + ["b"] * 50, ["a"] * 75 + ["b"] * 25), 4)  # 0.25 ln 1.5 - 0.25 ln 0.5
    0.2747
    >>> psi([1.0, 2.0, None], [1.0, 2.0, None])
    0.0

    Source: B. Yurdakul, Statistical Properties of Population Stability Index, Western Michigan University 2018.
    """
    kinds = {kind for kind in (_kind(reference), _kind(current)) if kind is not None}
    if len(kinds) == 2:
        raise InvalidInputError("the PSI compares numbers with numbers or strings with strings, not one with the other")
    text = "text" in kinds
    fitted = CategoricalBins.fit_and_count(reference) if text else NumericBins.fit_and_count(reference, cells=bins)
    before = Histogram(*fitted)
    return psi_from_counts(before, Histogram.of(before.bins, current), bins=bins)


def psi_from_counts(reference: Histogram, current: Histogram, *, bins: int = 10) -> float:
    """Return the population stability index of two histograms over the same bins: see `psi`.

    The fine cells are merged into the groups by `coarsen`.

    >>> fine = NumericBins.fit(range(1000))
    >>> round(psi_from_counts(Histogram.of(fine, range(1000)), Histogram.of(fine, range(500, 1000))), 3)
    2.626
    """
    return psi_of_groups(*coarsen(reference, current, bins))


def psi_of_groups(before: Counts, after: Counts) -> float:
    """Return the population stability index of two samples, given as counts of the same groups: see `psi`.

    >>> round(psi_of_groups(np.array([50, 50]), np.array([75, 25])), 4)
    0.2747
    """
    p = np.maximum(before, 0.5) / before.sum()
    q = np.maximum(after, 0.5) / after.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def coarsen(reference: Histogram, current: Histogram, bins: int = 10) -> tuple[Counts, Counts]:
    """Return the counts of both in the groups that the PSI compares: the missing first, then in the order of the cells.

    Neighbouring cells on the line are merged until each group holds about 1 / `bins` of the reference. For categories,
    the most frequent `bins - 1` stay, and the others are merged with their neighbours in the alphabet until each group
    holds about 1 / `bins`; those without a cell are a group at the end. If the reference has at most `bins` cells with
    counts, none are merged. Groups that are empty in both are left out, so the length is the number of groups for
    `psi_noise`.

    Categories chosen by a small reference are more frequent in it by chance than later. So frequency is that in both
    together. And if the cells are the categories of the reference itself, new ones come even if nothing changes, with
    about the share in it of those seen once (Good): up to that share, new ones are counted as if they had been in the
    reference. Moves between merged categories are not seen.

    Raises InvalidInputError for histograms over different bins, and for one without any count.

    Source: I. J. Good, The population frequencies of species, Biometrika 40, 1953.

    >>> fine = NumericBins(edges=(1.0, 2.0, 3.0))
    >>> reference, current = Histogram.of(fine, [0, 1, 2, 3]), Histogram.of(fine, [3, 3, 3, None])
    >>> [counts.tolist() for counts in coarsen(reference, current, bins=2)]
    [[0, 2, 2], [1, 0, 3]]
    """
    if bins < 2:
        raise InvalidInputError(f"the PSI needs two or more bins, got {bins}")
    if reference.bins != current.bins:
        raise InvalidInputError("histograms over different bins do not compare; count both over the same bins")
    if reference.total == 0 or current.total == 0:
        raise InvalidInputError(f"no values to compare: {reference.total} in the reference, {current.total} now")
    groups = psi_groups(reference if isinstance(reference.bins, NumericBins) else reference + current, bins)
    before = np.rint(np.bincount(groups, weights=_expected(reference, current))).astype(np.int64)
    after = np.bincount(groups, weights=current.counts).astype(np.int64)
    seen = (before + after) > 0
    return before[seen], after[seen]


def psi_groups(frequencies: Histogram, bins: int = 10) -> npt.NDArray[np.intp]:
    """Return the group into which `coarsen` puts each cell: 0 is the missing alone, the others in the order of cells.

    Some group numbers may be unused.
    """
    cells = np.arange(frequencies.bins.size)
    if isinstance(frequencies.bins, NumericBins):
        line = frequencies.counts[MISSING + 1 :]
        if np.count_nonzero(line) > bins:
            cells[MISSING + 1 :] = MISSING + 1 + _in_parts(line, bins)
        return cells
    known = frequencies.counts[MISSING + 1 : frequencies.bins.other]
    if len(known) > bins:
        rare = np.sort(np.argsort(-known, kind="stable")[bins - 1 :])
        parts = _in_parts(known[rare], max(round(known[rare].sum() * bins / max(known.sum(), 1)), 1))
        first = np.searchsorted(parts, parts)  # the first in the same part
        cells[rare + MISSING + 1] = rare[first] + MISSING + 1
    return cells


def _expected(reference: Histogram, current: Histogram) -> npt.NDArray[np.float64]:
    """Return the reference's counts; if its own categories made the cells, less what they gained by that choice.

    With `once` categories seen once, unseen ones have a share of `once` / n: their counts are taken evenly from all
    categories, at most as many as there are new ones now.
    """
    counts = reference.counts.astype(np.float64)
    if isinstance(reference.bins, NumericBins):
        return counts
    known = counts[MISSING + 1 : reference.bins.other]
    once = np.count_nonzero(known == 1)
    if once == 0 or not known.all():  # the categories were not chosen by these rows
        return counts
    new = current.counts[reference.bins.other] / current.total - counts[reference.bins.other] / reference.total
    moved = min(once, max(new, 0.0) * reference.total)
    known -= moved / len(known)
    counts[reference.bins.other] += moved
    return counts


def _in_parts(line: Counts, parts: int) -> npt.NDArray[np.intp]:
    """Return the part, from 0, of each neighbour when merged into `parts` parts of about equal counts."""
    middle = np.cumsum(line) - line / 2
    part: npt.NDArray[np.intp] = np.minimum(middle * parts / max(line.sum(), 1), parts - 1).astype(np.intp)
    return part


def psi_noise(groups: int, n: int, m: int, *, alpha: float = 0.01, shared: DesignEffect = INDEPENDENT) -> float:
    """Return the PSI that two samples of one distribution, of n and m values, exceed with probability `alpha` only.

        quantile of chi-squared with (groups - 1) degrees of freedom, at 1 - alpha, times (1/n + 1/m)

    A PSI above its limit but below this is not a signal. The approximation is good if the groups hold ten or more
    values each. Flights of one hour share one weather, so their visibilities are not independent: `shared` is their
    design effect; then it is the quantile with `shared.freedom` of the degrees of freedom, divided by that share,
    for n / `shared.rows` and m / `shared.rows` values.

    Raises InvalidInputError unless groups, n and m are positive and 0 < alpha < 1.

    >>> round(psi_noise(10, 1000, 1000), 4)  # the quantile is 21.666
    0.0433
    >>> psi_noise(1, 1000, 1000)  # a single group always has the share 1
    0.0

    Source: B. Yurdakul, Statistical Properties of Population Stability Index, Western Michigan University 2018.
    """
    if groups < 1 or n < 1 or m < 1 or not 0 < alpha < 1:
        raise InvalidInputError(
            f"groups, n and m must be positive and alpha between 0 and 1, got {groups}, {n}, {m}, {alpha}"
        )
    if groups == 1:
        return 0.0
    from scipy.special import chdtri

    quantile = float(chdtri((groups - 1) * shared.freedom, alpha)) / shared.freedom
    return quantile * shared.rows * (1 / n + 1 / m)


def psi_pvalue(value: float, groups: int, n: int, m: int, *, shared: DesignEffect = INDEPENDENT) -> float:
    """Return the probability, 0 to 1, that chance alone has a PSI above `value`: the inverse of `psi_noise`.

    >>> round(psi_pvalue(psi_noise(10, 1000, 1000, alpha=0.03), 10, 1000, 1000), 6)
    0.03
    """
    if groups == 1:
        return 1.0
    from scipy.special import chdtrc

    statistic = value / (shared.rows * (1 / n + 1 / m))
    return float(chdtrc((groups - 1) * shared.freedom, statistic * shared.freedom))


def _kind(column: Column) -> Literal["numeric", "text"] | None:
    """Return the kind of the column's values; None if all are missing."""
    if getattr(getattr(column, "dtype", None), "kind", "O") in "biufmM":
        return "numeric"
    present = next((value for value in as_objects(column) if not is_missing(value)), None)
    if present is None:
        return None
    return "text" if isinstance(present, str) else "numeric"
