"""The expectation that a feature is distributed as it was in training."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.statistics import Histogram, NumericBins

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

_GROUPS = 10
_ROWS_PER_FREEDOM = 5
_TO_SPARE = 0.1

KL = "expect_column_kl_divergence_to_be_less_than"


def distribution(name: str, reference: Histogram, *, max_divergence: float, least_rows: float) -> "Expectation | None":
    """Return the expectation that a day's values diverge from the reference by at most `max_divergence` nats.

    The divergence is that of Kullback and Leibler. Only days with enough rows to exclude chance are judged. Twice the
    divergence, times the rows, is about chi-squared with as many degrees of freedom as groups less one (the G-test), so
    its mean under chance is (groups - 1) / (2 rows). That is to be a tenth of the limit at most: rows >=
    5 (groups - 1) / `max_divergence`, and at least `least_rows`. Missing values are left out;
    they have another limit.

    Returns None for a constant, and where there is nothing to compare.

    Source: R. R. Sokal, F. J. Rohlf, Biometry, 1981 (G-test).
    """
    present = reference.counts[1:]
    if present.sum() == 0:
        return None
    if isinstance(reference.bins, NumericBins):
        edges = _edges(reference.bins, present)
        if not edges:
            return None
        # A value on an edge belongs above it, also on the last edge, where Great Expectations would put it below.
        partition: dict[str, object] = {"bins": [math.nextafter(edge, -math.inf) for edge in edges]}
        counts = np.add.reduceat(present, [0, *(reference.bins.edges.index(edge) + 1 for edge in edges)])
        below, *inner, above = _shares(counts)
        partition |= {"weights": inner, "tail_weights": [below, above]}
        return _expectation(name, partition, 0.0, len(counts), max_divergence, least_rows)
    *known, other = _shares(present)
    if len(known) < 2:
        return None
    # Great Expectations scales the weights of known values down by the share held out for unknown ones.
    partition = {"values": list(reference.bins.categories), "weights": [share / (1 - other) for share in known]}
    return _expectation(name, partition, other, len(present), max_divergence, least_rows)


def asked_as_warnings(of_a_day: "Expectation", worst_hour: float | None) -> "list[Expectation]":
    """Return the expectation for training sets and hours, as warnings: drift is for the drift report to judge.

    New training sets are made because of drift. Hours differ (all flights of an hour have that hour), so an hour may be
    as far from the baseline as the `worst_hour` of the training set, plus the limit of a day; without a known
    `worst_hour` there is no expectation of hours. `worst_hour` is a PSI, and a divergence is never larger than the PSI,
    which adds the divergences of both directions.
    """
    from great_expectations.expectations.metadata_types import FailureSeverity

    def asked(kind: str, limit: float) -> "Expectation":
        meta = {**(of_a_day.meta or {}), "batches": [kind]}
        return of_a_day.copy(update={"severity": FailureSeverity.WARNING, "meta": meta, "threshold": limit})

    limit = float(of_a_day.configuration.kwargs["threshold"])
    hours = [] if worst_hour is None else [asked("hour", limit + worst_hour)]
    return [asked("training_set", limit), *hours]


def is_close(asked: "Expectation", frame: "pd.DataFrame") -> bool:
    """Return whether a batch keeps to the distribution that `asked` expects, with a tenth of the limit to spare.

    It saves the evaluation by Great Expectations, which takes 0.05 s for each expectation. In any doubt, and for any
    other kind of expectation, it returns False.
    """
    arguments = asked.configuration.kwargs
    column = arguments.get("column")
    if asked.expectation_type != KL or column not in frame or arguments.get("internal_weight_holdout"):
        return False
    values, others = frame[column].dropna(), arguments.get("tail_weight_holdout") or 0.0
    match arguments.get("partition_object"):
        case {"values": [*known], "weights": [*weights]}:
            expected = np.array([*(weight * (1 - others) for weight in weights), others])
            counts = values.value_counts().reindex(known, fill_value=0).to_numpy()
            found = np.array([*counts, len(values) - counts.sum()])
        case {"bins": [*edges], "weights": [*weights], "tail_weights": [below, above]} if (
            values.dtype == np.float64 and not others
        ):
            expected = np.array([below, *weights, above])
            inner, _ = np.histogram(values, edges)
            found = np.array([(values < edges[0]).sum(), *inner, (values > edges[-1]).sum()])
        case _:
            return False
    there = found > 0
    if not there.any():
        return False
    shares = found[there] / found.sum()
    with np.errstate(divide="ignore"):
        divergence = float(np.sum(shares * np.log(shares / expected[there])))
    return bool(divergence < (1 - _TO_SPARE) * arguments["threshold"])


def _expectation(
    name: str, partition: dict[str, object], others: float, groups: int, max_divergence: float, least_rows: float
) -> "Expectation":
    from great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than import (
        ExpectColumnKLDivergenceToBeLessThan,
    )

    rows = max(least_rows, _ROWS_PER_FREEDOM * (groups - 1) / max_divergence)
    return ExpectColumnKLDivergenceToBeLessThan(
        column=name,
        partition_object=partition,
        tail_weight_holdout=others,
        threshold=max_divergence,
        meta={"batches": ["day"], "min_batch_rows": math.ceil(rows), "rule": {"max_divergence": max_divergence}},
    )


def _edges(bins: NumericBins, present: npt.NDArray[np.int64]) -> Sequence[float]:
    """Return edges of about ten groups of equal shares, and the outermost fine edges; none for a constant."""
    edges = bins.edges
    if len(edges) < 2 or edges[-1] == math.nextafter(edges[0], math.inf):
        return ()
    reached = np.searchsorted(np.cumsum(present), present.sum() * np.arange(1, _GROUPS) / _GROUPS)
    chosen = {0, len(edges) - 1, *(int(cell) for cell in reached if cell < len(edges))}
    return [edges[cell] for cell in sorted(chosen)]


def _shares(counts: npt.NDArray[np.int64]) -> list[float]:
    """Return shares that add up to 1; an empty cell counts as half a row, for an unseen value is not impossible."""
    floored = np.maximum(counts, 0.5)
    return [float(share) for share in floored / floored.sum()]
