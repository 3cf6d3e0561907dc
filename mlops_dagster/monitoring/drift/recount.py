"""Counts of the log's rows in other bins than those in which the rows were counted when they were served.

The rollups have counts in the bins of the versions that served. For a version with another schema, or for a time before
any version had a baseline, they have none: then the rows themselves are counted, in pieces, so memory does not grow.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mlops_dagster.inference import arrow_column, columns_of, feature_of
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.statistics import Bins, Counts, NumericBins

if TYPE_CHECKING:
    import pyarrow as pa


def count_rows(
    log: PredictionLog,
    model: str,
    since: datetime,
    until: datetime,
    bins: Mapping[str, Bins],
    version: str | None = None,
    lacking: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[str, Counts]:
    """Count the rows that the split served in [since, until), by cell, for each feature of `bins` and for "score".

    Rows are counted as in the rollups: a failed request has features and no score. A feature without a column in the
    log, or with one of another kind, is left out: its values are not known to be missing. For each feature, the rows of
    the versions `lacking` that feature are left out too. Raises StorageError and CorruptedError.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    features = {name: feature_of(name, its) for name, its in bins.items() if name != "score"}
    columns = [column for feature in features.values() for column in columns_of(feature)]
    without = {name: pa.array(list(versions), pa.string()) for name, versions in lacking.items() if versions}
    wanted = {*columns, *(["version"] if version or without else [])}
    wanted |= {"status", "score"} if "score" in bins else set()
    counts: dict[str, Counts] = {}
    for batch in log.batches(model, since, until, SERVED, wanted.__contains__):
        rows = batch if version is None else batch.filter(pc.equal(batch["version"], version))
        for name in bins:
            values = arrow_column(rows, features[name]) if name in features else _scores(rows)
            if values is None:
                continue
            if name in without:
                values = values.filter(pc.invert(pc.is_in(rows["version"], without[name])))
            counts.setdefault(name, np.zeros(bins[name].size, dtype=np.int64))
            counts[name] += _count(bins[name], values)
    return counts


def _scores(rows: "pa.RecordBatch") -> "pa.Array":
    import pyarrow.compute as pc

    return rows["score"].filter(pc.equal(rows["status"], "ok"))


def _count(bins: Bins, column: "pa.Array") -> Counts:
    if isinstance(bins, NumericBins):
        return bins.count(column.to_numpy(zero_copy_only=False))
    words = column.value_counts()
    times = words.field("counts").to_numpy()
    found = np.bincount(bins.index(words.field("values").to_pylist()), weights=times, minlength=bins.size)
    return found.astype(np.int64)
