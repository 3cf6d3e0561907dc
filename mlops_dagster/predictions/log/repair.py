"""Repair of a log that has rows more than once, as two simultaneous compactions leave them: one of each stays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.maintenance import MAINTAINER_SECONDS, maintaining
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    import pyarrow.dataset as pads
    from deltalake import DeltaTable

    from mlops_dagster.predictions.log.location import TableAddress

# The columns that identify a row: a process numbers its predictions of a model, a spool its labels.
_PREDICTION = ("process", "sequence")
_LABEL = ("model", "prediction_id", "request", "number", "received_at")


@dataclass(frozen=True, slots=True)
class Doubled:
    """The rows that one table of the log holds more than once, counted."""

    table: str
    rows: int
    surplus: int
    """The number of rows to remove so that one of each stays."""
    days: int
    """The number of days that these rows are in."""


class _Day(NamedTuple):
    rows: "pads.Dataset"
    first: "npt.NDArray[np.bool_]"
    """For each row, in order: true if it is the first of its kind."""


def find_doubled(log: PredictionLog) -> list[Doubled]:
    """Count the rows that each table holds more than once; nothing is changed. Memory use is that of a day's keys.

    Raises StorageError.
    """
    return [_look_at(log.place.table(name), name, key) for name, key in _tables(log)]


def repair(log: PredictionLog) -> list[Doubled]:
    """Leave one of each row that a table holds more than once; return the counts found before.

    A day is replaced in one commit: a killed repair leaves each day as it was or repaired, and a repeated call goes on.
    Counts in the rollups come from the spool, and were never wrong. Raises StorageError, and AlreadyRunningError while
    another process maintains the log.
    """
    with maintaining(log.place, wait_seconds=MAINTAINER_SECONDS):
        found = []
        for name, key in _tables(log):
            at = log.place.table(name)
            found.append(_look_at(at, name, key))
            if found[-1].surplus:
                _repair(at, key)
        return found


def _tables(log: PredictionLog) -> list[tuple[str, Sequence[str]]]:
    return [*((predictions_table(model), _PREDICTION) for model in log.models()), (LABELS_TABLE, _LABEL)]


def _look_at(at: "TableAddress", name: str, key: Sequence[str]) -> Doubled:
    from mlops_dagster.predictions.log.delta import tables as delta
    from mlops_dagster.predictions.log.delta.errors import storage_errors

    table = delta.open_table(at)
    rows = surplus = doubled_days = 0
    with storage_errors("read", at):
        if table is None:
            return Doubled(name, 0, 0, 0)
        for day in delta.days_of(table):
            first = _day(at, table, day, key).first
            rows += len(first)
            surplus += len(first) - int(first.sum())
            doubled_days += not first.all()
    return Doubled(name, rows, surplus, doubled_days)


def _repair(at: "TableAddress", key: Sequence[str]) -> None:
    import pyarrow as pa

    from mlops_dagster.predictions.log.delta import tables as delta
    from mlops_dagster.predictions.log.delta import upkeep
    from mlops_dagster.predictions.log.delta.errors import storage_errors

    for _ in range(delta.ATTEMPTS):
        with storage_errors("repair", at), upkeep.deletable(at) as table:
            for day in delta.days_of(table):
                its = _day(at, table, day, key)
                if its.first.all():
                    continue
                rest = pa.RecordBatchReader.from_batches(its.rows.schema, _first_rows(its))
                if not upkeep.replace_day(at, table, day, rest):
                    break
            else:
                return
    raise StorageError(f"{delta.ATTEMPTS} repairs of {at.uri} were overtaken by appends; run it again")


def _day(at: "TableAddress", table: "DeltaTable", day: date, key: Sequence[str]) -> _Day:
    import numpy as np
    import pyarrow as pa

    from mlops_dagster.predictions.log.delta import tables as delta

    rows = delta.rows_of(at, table, [("date", "=", day.isoformat())])
    keys = pa.Table.from_batches(list(_in_order(rows, key)))
    numbered = keys.append_column("row", pa.array(np.arange(keys.num_rows)))
    firsts = numbered.group_by(list(key), use_threads=False).aggregate([("row", "min")])["row_min"]
    first = np.zeros(keys.num_rows, dtype=bool)
    first[firsts.to_numpy()] = True
    return _Day(rows, first)


def _first_rows(day: _Day) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    done = 0
    for batch in _in_order(day.rows, day.rows.schema.names):
        yield batch.filter(pa.array(day.first[done : done + batch.num_rows]))
        done += batch.num_rows


def _in_order(rows: "pads.Dataset", columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    """Yield the same rows in the same order at each call."""
    yield from rows.to_batches(columns=list(columns), use_threads=False, batch_readahead=1, fragment_readahead=1)
