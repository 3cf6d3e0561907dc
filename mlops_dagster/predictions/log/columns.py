"""Conversion of spool entries to Arrow tables, as the log has them. Imports pyarrow: import it where it is used."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from math import inf

import pyarrow as pa

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.names import NUMBER, TEXT, fold_feature, log_columns
from mlops_dagster.predictions.encoded import LabelEntry, PredictionEntry

_DAY = 86_400_000_000  # microseconds


_TIME = pa.timestamp("us", tz="UTC")

PREDICTIONS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("request", pa.string()),  # unique even if the client repeats ids; the same for all rows and arms of a request
        ("version", pa.string()),
        ("role", pa.string()),
        ("weight", pa.float64()),
        ("epoch", pa.int64()),
        ("salt", pa.string()),
        ("key", pa.string()),
        ("event_time", _TIME),
        ("received_at", _TIME),
        ("status", pa.string()),
        ("error", pa.string()),
        ("code", pa.string()),  # of the error
        ("prediction", pa.string()),
        ("score", pa.float64()),
        ("latency_ms", pa.float64()),
        ("process", pa.string()),
        ("sequence", pa.int64()),
        ("row", pa.int64()),
        ("raw", pa.string()),
        ("preprocess_ms", pa.float64()),
        ("inference_ms", pa.float64()),
        ("postprocess_ms", pa.float64()),
        ("trace_id", pa.string()),
        ("unit", pa.string()),  # the unit for which the row's label is evidence; "" if it is none
        ("beside", pa.struct([("version", pa.string()), ("role", pa.string()), ("status", pa.string())])),
        ("number", pa.int64()),  # the order in which rows were recorded
        ("date", pa.date32()),
    ]
)
"""The columns that every model has; `feature_<name>` columns are added as features come, and a column of lists for each
further output of the task that a request asked for, such as `probabilities`."""

LABELS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("request", pa.string()),  # of the row that is labelled
        ("model", pa.string()),
        ("label", pa.string()),
        ("at", _TIME),
        ("received_at", _TIME),
        ("correction", pa.bool_()),
        ("actor", pa.string()),
        ("number", pa.int64()),  # the order in which labels came
        ("event_time", _TIME),  # of the prediction
        ("date", pa.date32()),
    ]
)

ERASURES = pa.schema(
    [
        ("erasure", pa.string()),
        ("step", pa.string()),  # begun, one row a process; done, one row
        ("model", pa.string()),
        ("at", _TIME),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("what", pa.string()),  # keys, ids, or days: how the rows were chosen, never which key or id
        ("rows", pa.int64()),
        ("process", pa.string()),
        ("answers", pa.list_(pa.int64())),  # first and last sequence number of each run, of rows that answered
        ("others", pa.list_(pa.int64())),
        ("date", pa.date32()),
    ]
)


def prediction_table(rows: Sequence[tuple[int, int, PredictionEntry]], features: Mapping[str, pa.DataType]) -> pa.Table:
    """Convert predictions, given with their numbers in the spool and of their process, to a table of the log.

    `features` are the feature columns that the log has already.
    """
    entries = [entry for _, _, entry in rows]
    own: dict[str, Sequence[object]] = {
        "number": [number for number, _, _ in rows],
        "sequence": [sequence for _, sequence, _ in rows],
        "date": _dates(entry["event_time"] for entry in entries),
    }
    table = pa.table(
        # the column's name is a key of the entry
        [own.get(name) or [entry.get(name) for entry in entries] for name in PREDICTIONS.names],
        schema=PREDICTIONS,
    )
    for name, column in (*_tensor_columns(entries), *_feature_columns(entries, features).items()):
        table = table.append_column(name, column)
    return table


def label_table(rows: Sequence[tuple[int, LabelEntry]]) -> pa.Table:
    """Convert labels, given with their numbers in the spool, to a table of the log."""
    entries = [entry for _, entry in rows]
    own: dict[str, Sequence[object]] = {
        "number": [number for number, _ in rows],
        "date": _dates(entry["at"] for entry in entries),
    }
    return pa.table(
        # the column's name is a key of the entry
        [own.get(name) or [entry.get(name) for entry in entries] for name in LABELS.names],
        schema=LABELS,
    )


def _tensor_columns(entries: Sequence[PredictionEntry]) -> Iterator[tuple[str, pa.Array]]:
    rows = [entry["tensors"] or {} for entry in entries]
    for name in dict.fromkeys(chain.from_iterable(rows)):
        yield name, pa.array([row.get(name) for row in rows], pa.list_(pa.float64()))


def _feature_columns(entries: Sequence[PredictionEntry], existing: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Build one column per feature and kind of value, so that the log refuses no prediction.

    A column of the log keeps its type for ever, and to Delta two names that differ only in case are one column. So
    values go to the first column of `log_columns` that has their name and type, or that does not exist yet in any
    spelling.
    """
    columns: dict[str, pa.Array] = {}
    rows = [_features(entry) for entry in entries]
    types = dict(existing)
    spelled = {fold_feature(column): column for column in existing}

    def add(name: str, values: pa.Array, suffix: str) -> None:
        for column in log_columns(name, suffix):
            holder = spelled.setdefault(fold_feature(column), column)
            if holder == column and types.setdefault(column, values.type) == values.type:
                columns[column] = values
                return
        raise InvalidInputError(f"the log has no column for the feature {name!r}, whose digest is another one's name")

    for name in dict.fromkeys(chain.from_iterable(rows)):
        values = [row.get(name) for row in rows]
        kinds = set(map(type, values)) - {type(None)}
        if kinds - {str}:
            add(name, pa.array(values if kinds == {float} else _numbers(values), pa.float64()), NUMBER)
        if str in kinds:
            add(name, pa.array(values if kinds == {str} else _texts(values), pa.string()), TEXT)
    return columns


def feature_column(rows: pa.Schema, feature: str, *, numeric: bool) -> str | None:
    """Return the column where `prediction_table` puts a feature's values of one kind; None if there are none."""
    suffix, kind = (NUMBER, pa.float64()) if numeric else (TEXT, pa.string())
    columns = (name for name in log_columns(feature, suffix) if name in rows.names)
    return next((name for name in columns if rows.field(name).type == kind), None)


def _features(entry: PredictionEntry) -> dict[str, float | str | None]:
    """Return the features with their infinities, which the JSON of an entry has as null."""
    infinite = entry.get("infinite")
    return entry["features"] if not infinite else {**entry["features"], **{n: v * inf for n, v in infinite.items()}}


def _numbers(values: Iterable[float | str | None]) -> list[float | None]:
    return [None if value is None or isinstance(value, str) else float(value) for value in values]


def _texts(values: Iterable[float | str | None]) -> list[str | None]:
    return [value if isinstance(value, str) else None for value in values]


def _dates(times: Iterable[int]) -> list[date]:
    days = [time // _DAY for time in times]
    of_day = {day: datetime.fromtimestamp(day * 86_400, UTC).date() for day in set(days)}
    return [of_day[day] for day in days]
