"""The usual values of a feature: the range and the categories of its training set."""

import math
from typing import Final

from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

_FINITE: Final = 1.7976931348623157e308
"""The largest finite float64."""


def usual_range(reference: Histogram | None, stretch: float) -> tuple[float, float]:
    """Return the range of a numeric feature: that of its bins, widened on both sides by `stretch` times its width.

    It covers all finite numbers if there are no bins, or only those of a constant, which do not tell a range.

    >>> usual_range(Histogram.of(NumericBins((0.0, 10.0)), [5.0]), stretch=2.0)
    (-20.0, 30.0)
    """
    edges = reference.bins.edges if reference is not None and isinstance(reference.bins, NumericBins) else ()
    if len(edges) < 2 or edges[-1] == math.nextafter(edges[0], math.inf):
        return -_FINITE, _FINITE
    margin = stretch * (edges[-1] - edges[0])
    return max(edges[0] - margin, -_FINITE), min(edges[-1] + margin, _FINITE)


def known_categories(reference: Histogram | None) -> frozenset[str] | None:
    """Return all categories that the reference has seen; None if it does not name all of them.

    >>> known_categories(Histogram.of(CategoricalBins(("EWR",)), ["EWR", "JFK"])) is None
    True
    """
    if reference is None or not isinstance(reference.bins, CategoricalBins):
        return None
    return None if reference.counts[reference.bins.other] else frozenset(reference.bins.categories)
