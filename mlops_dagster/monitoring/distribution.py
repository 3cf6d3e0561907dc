"""The expectation that a feature is distributed as it was in training."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.statistics import Histogram, NumericBins

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

_GROUPS = 10
_ROWS_PER_FREEDOM = 5


def distribution(name: str, reference: Histogram, *, max_divergence: float, min_rows: float) -> "Expectation | None":
    """The Kullback-Leibler divergence of a day's values from the reference is at most `max_divergence` nats.

    Judged are days, and neither hours (all flights of an hour have that hour) nor training sets (drift is why they
    are made), and only those with enough rows that chance is no explanation. Twice the divergence, times the rows,
    is about chi-squared with as many degrees of freedom as groups less one (the G-test), so its mean under chance
    is (groups - 1) / (2 rows). That is to be a tenth of the limit at most: rows >= 5 (groups - 1) / `max_divergence`,
    and at least `min_rows`. Missing values are left out; they have a limit of their own.

    None for a constant, and where there is nothing to compare.

    Source: R. R. Sokal, F. J. Rohlf, Biometry, 1981 (G-test).
    """
    present = reference.counts[1:]
    if present.sum() == 0:
        return None
    if isinstance(reference.bins, NumericBins):
        edges = _edges(reference.bins, present)
        if not edges:
            return None
        # A value on an edge belongs above it, on the last one too: there Great Expectations would say below.
        partition: dict[str, object] = {"bins": [math.nextafter(edge, -math.inf) for edge in edges]}
        counts = np.add.reduceat(present, [0, *(reference.bins.edges.index(edge) + 1 for edge in edges)])
        below, *inner, above = _shares(counts)
        partition |= {"weights": inner, "tail_weights": [below, above]}
        return _expectation(name, partition, 0.0, len(counts), max_divergence, min_rows)
    *known, other = _shares(present)
    if len(known) < 2:
        return None
    # Great Expectations scales the known ones down by what it holds back for the unknown.
    partition = {"values": list(reference.bins.categories), "weights": [share / (1 - other) for share in known]}
    return _expectation(name, partition, other, len(present), max_divergence, min_rows)


def _expectation(
    name: str, partition: dict[str, object], others: float, groups: int, max_divergence: float, min_rows: float
) -> "Expectation":
    from great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than import (
        ExpectColumnKLDivergenceToBeLessThan,
    )

    rows = max(min_rows, _ROWS_PER_FREEDOM * (groups - 1) / max_divergence)
    return ExpectColumnKLDivergenceToBeLessThan(
        column=name,
        partition_object=partition,
        tail_weight_holdout=others,
        threshold=max_divergence,
        meta={"batches": ["day"], "min_rows": math.ceil(rows)},
    )


def _edges(bins: NumericBins, present: npt.NDArray[np.int64]) -> Sequence[float]:
    """About ten groups of equal shares, and beyond the outermost fine edges two more; none for a constant."""
    edges = bins.edges
    if len(edges) < 2 or edges[-1] == math.nextafter(edges[0], math.inf):
        return ()
    reached = np.searchsorted(np.cumsum(present), present.sum() * np.arange(1, _GROUPS) / _GROUPS)
    chosen = {0, len(edges) - 1, *(int(cell) for cell in reached if cell < len(edges))}
    return [edges[cell] for cell in sorted(chosen)]


def _shares(counts: npt.NDArray[np.int64]) -> list[float]:
    """Shares that add up to 1. An empty cell counts as half a row: what was not seen is not impossible."""
    floored = np.maximum(counts, 0.5)
    return [float(share) for share in floored / floored.sum()]
