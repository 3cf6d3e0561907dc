"""Counting the log's rows afresh, in other bins than they were counted in when they were served.

The rollups have counts in the bins of the versions that served. Of a version with another schema, or of a time before
anything had a baseline, they have none: then the rows themselves are counted, in pieces, so memory does not grow.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.statistics import Bins, CategoricalBins, Counts, NumericBins

if TYPE_CHECKING:
    import pyarrow as pa


def count_rows(
    log: PredictionLog,
    model: str,
    since: datetime,
    until: datetime,
    bins: Mapping[str, Bins],
    version: str | None = None,
) -> dict[str, Counts]:
    """How often what the split served in [since, until) has each cell, of each feature of `bins`, and "score".

    As the rollups count: a value of the wrong kind is missing, and a failed request has features and no score.
    Raises StorageError and CorruptedError.
    """
    import pyarrow.compute as pc

    columns = {"score" if name == "score" else f"feature_{name}": name for name in bins}
    wanted = {*columns, *(["version"] if version is not None else []), *(["status"] if "score" in bins else [])}
    counts = {name: np.zeros(its.size, dtype=np.int64) for name, its in bins.items()}
    for batch in log.batches(model, since, until, SERVED, wanted.__contains__):
        rows = batch if version is None else batch.filter(pc.equal(batch["version"], version))
        for column, name in columns.items():
            if column == "score":
                counts[name] += _count(bins[name], rows["score"].filter(pc.equal(rows["status"], "ok")))
            elif column in rows.schema.names:
                counts[name] += _count(bins[name], rows[column])
            else:
                counts[name][0] += rows.num_rows
    return counts


def _count(bins: Bins, column: "pa.Array") -> Counts:
    import pyarrow as pa

    match bins:
        case NumericBins() if pa.types.is_floating(column.type):
            return bins.count(column.to_numpy(zero_copy_only=False))
        case CategoricalBins() if pa.types.is_string(column.type):
            return _count_words(bins, column)
        case _:
            counts = np.zeros(bins.size, dtype=np.int64)
            counts[0] = len(column)
            return counts


def _count_words(bins: CategoricalBins, column: "pa.Array") -> Counts:
    words = column.value_counts()
    times = words.field("counts").to_numpy()
    found = np.bincount(bins.index(words.field("values").to_pylist()), weights=times, minlength=bins.size)
    return found.astype(np.int64)
