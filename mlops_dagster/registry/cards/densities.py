"""Histograms for people, made from fine bins of unequal width."""

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import Histogram, NumericBins

CELLS = 40


def density(histogram: Histogram, cells: int = CELLS) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the edges (at most cells + 1,) and heights (one fewer, counts of values) of cells of equal width.

    The values of a bin are spread evenly over it. The two bins that are open to one side are taken to be as wide
    as their neighbours. With fewer than two edges there is nothing to draw: one cell from 0 to 1 holds everything.

    Raises InvalidInputError for the histogram of a categorical feature.

    >>> bins = NumericBins(edges=(0.0, 1.0, 3.0))
    >>> edges, heights = density(Histogram(bins, [5, 10, 10, 20, 20]), cells=3)
    >>> edges.tolist(), heights.tolist()
    ([-1.0, 1.0, 3.0, 5.0], [20.0, 20.0, 20.0])
    """
    bins = histogram.bins
    if not isinstance(bins, NumericBins):
        raise InvalidInputError("only numeric features have a density; categories have counts")
    inner = np.asarray(bins.edges, dtype=np.float64)
    if len(inner) < 2 or not np.isfinite(inner[-1] - inner[0]):
        return np.array([0.0, 1.0]), np.array([float(histogram.counts[1:].sum())])
    outer = [inner[0] - (inner[1] - inner[0]), *inner, inner[-1] + (inner[-1] - inner[-2])]
    below = np.concatenate([[0.0], np.cumsum(histogram.counts[1:])])
    edges = np.linspace(outer[0], outer[-1], cells + 1)
    return edges, np.diff(np.interp(edges, outer, below))
