"""Counting the log's rows afresh, in other bins than they were counted in when they were served.

The rollups have counts in the bins of the versions that served. Of a version with another schema, or of a time before
anything had a baseline, they have none: then the rows themselves are counted, in pieces, so memory does not grow.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

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
    """How often what the split served in [since, until) has each cell, of each feature of `bins`, and "score".

    As the rollups count: a failed request has features and no score. A feature that the log has no column of, or one
    of another kind, is left out: nobody has said that its values are missing. So are, of a feature, the rows of the
    versions that are `lacking` it. Raises StorageError and CorruptedError.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {"score" if name == "score" else f"feature_{name}": name for name in bins}
    without = {name: pa.array(list(versions), pa.string()) for name, versions in lacking.items() if versions}
    wanted = {*columns, *(["version"] if version or without else []), *(["status"] if "score" in bins else [])}
    counts: dict[str, Counts] = {}
    for batch in log.batches(model, since, until, SERVED, wanted.__contains__):
        rows = batch if version is None else batch.filter(pc.equal(batch["version"], version))
        for column, name in columns.items():
            if column not in rows.schema.names or not _fits(bins[name], rows[column].type):
                continue
            values = rows[column].filter(pc.equal(rows["status"], "ok")) if column == "score" else rows[column]
            if name in without:
                values = values.filter(pc.invert(pc.is_in(rows["version"], without[name])))
            counts.setdefault(name, np.zeros(bins[name].size, dtype=np.int64))
            counts[name] += _count(bins[name], values)
    return counts


def _fits(bins: Bins, kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) if isinstance(bins, NumericBins) else pa.types.is_string(kind))


def _count(bins: Bins, column: "pa.Array") -> Counts:
    if isinstance(bins, NumericBins):
        return bins.count(column.to_numpy(zero_copy_only=False))
    words = column.value_counts()
    times = words.field("counts").to_numpy()
    found = np.bincount(bins.index(words.field("values").to_pylist()), weights=times, minlength=bins.size)
    return found.astype(np.int64)
