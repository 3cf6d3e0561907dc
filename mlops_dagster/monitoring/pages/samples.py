"""Rows to draw: a sample of the served rows, and rows made up from the counts of a baseline."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.inference import column_of, columns_of
from mlops_dagster.predictions import SERVED, PredictionLog
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.schema import Feature
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "feature_"


class ServedSample(NamedTuple):
    """A sample of the rows that were served, in order of time: a column for each feature, and "score"."""

    rows: "pd.DataFrame"
    served: int
    """The number of rows from which the sample was drawn."""


def sample_served(
    log: PredictionLog,
    model: str,
    features: Sequence[Feature],
    since: datetime,
    until: datetime,
    *,
    most: int,
    seed: int,
) -> ServedSample:
    """Return at most `most` of the rows with since <= event_time < until, each as likely as any other.

    The sample is the rows whose ids have the smallest hashes under `seed`: the same rows each time, in any order of the
    log. Reads the log in pieces; memory grows with `most`. Raises StorageError.
    """
    import pandas as pd

    columns = {f"{_PREFIX}{each.name}": each.name for each in features} | {"score": "score"}
    needed = {column for each in features for column in columns_of(each)} | {"score", "prediction_id", "event_time"}
    kept, served = pd.DataFrame(), 0
    for batch in log.batches(model, since, until, SERVED, needed.__contains__):
        hashes = pd.util.hash_array(batch["prediction_id"].to_numpy(zero_copy_only=False), hash_key=f"{seed:016d}")
        smallest = np.argsort(hashes, kind="stable")[:most]
        taken = batch.take(smallest.tolist())
        values = {f"{_PREFIX}{each.name}": column_of(taken, each) for each in features}
        drawn = taken.select(["event_time", "score"]).to_pandas().assign(**values, hash=hashes[smallest])
        kept = pd.concat([kept, drawn]).nsmallest(most, "hash") if served else drawn
        served += batch.num_rows
    if not served:
        return ServedSample(pd.DataFrame(columns=list(columns.values())), 0)
    in_time = kept.sort_values(["event_time", "hash"], ignore_index=True)
    return ServedSample(in_time[list(columns)].rename(columns=columns), served)


def rows_like(baseline: Baseline, beside: "pd.DataFrame", *, rows: int, seed: int) -> "pd.DataFrame":
    """Make up `rows` rows whose counts are those of the baseline, to within a row a bin.

    The columns are those of `beside`. A baseline holds the number of values in each bin, not the values: a value is
    taken from those that `beside` has in that bin, or else is the middle of the bin (an edge for the outermost bins;
    "other" for a category that is not known by name). So differences within a bin are not visible; a numeric feature
    has about 200 bins. Columns are independent of each other.
    """
    import pandas as pd

    generator = np.random.default_rng(seed)
    columns = {**baseline.features, "score": baseline.score}
    return pd.DataFrame(
        {name: _values(columns[name], beside[name], rows, generator) for name in beside.columns if name in columns}
    )


def _values(
    histogram: Histogram, beside: "pd.Series[float] | pd.Series[str]", rows: int, generator: np.random.Generator
) -> "npt.NDArray[np.float64] | npt.NDArray[np.object_]":
    numeric = isinstance(histogram.bins, NumericBins)
    known = beside.to_numpy(np.float64 if numeric else np.object_)
    cells = histogram.bins.index(known)
    order = np.argsort(cells, kind="stable")
    known, cells = known[order], cells[order]
    # Ranks at equal steps through all counted values, in random order.
    ranks = (generator.permutation(rows) + 0.5) / rows * histogram.total
    wanted = np.searchsorted(np.cumsum(histogram.counts), ranks, side="right")
    wanted = np.minimum(wanted, histogram.bins.size - 1)  # for a histogram without counts
    first, end = np.searchsorted(cells, wanted, side="left"), np.searchsorted(cells, wanted, side="right")
    found = end > first
    values = _middles(histogram.bins)[wanted]
    values[found] = known[generator.integers(first[found], end[found])]
    return values


def _middles(bins: NumericBins | CategoricalBins) -> "npt.NDArray[np.float64] | npt.NDArray[np.object_]":
    """Return one value for each cell."""
    if isinstance(bins, CategoricalBins):
        return np.array([None, *bins.categories, "other"], dtype=np.object_)
    edges = np.asarray(bins.edges, dtype=np.float64)
    if len(edges) == 0:
        return np.array([np.nan, 0.0])
    # A cell includes its lower edge, so the value for the cell below the first edge is just below that edge.
    return np.array([np.nan, np.nextafter(edges[0], -np.inf), *(edges[:-1] / 2 + edges[1:] / 2), edges[-1]])
