"""Counts of answers of rows that a test writes down, by the embedded engine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from mlops_dagster.predictions import INTERVAL, AnswerCounts, ByInterval, Part
from mlops_dagster.predictions.engine.embedded import EmbeddedEngine
from mlops_dagster.predictions.engine.engine import Engine, Source
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.log.statements.answers import answer_columns, count_answers, counted_parts
from mlops_dagster.predictions.log.statements.labelled import LABEL_COLUMNS, Window
from tests.support.predictions.records import MARCH

WINDOW = Window("flights", MARCH, MARCH + timedelta(days=1), ("champion", "canary", "paired", "shadow", "none"))


def counted(rows: pa.Table, parts: Sequence[Part] = (), engine: Engine | None = None) -> AnswerCounts:
    """Count rows that have some columns of the log, of one hour if they have no time, and perhaps `label`."""
    n = rows.num_rows
    ids = pa.array([f"p{number}" for number in range(n)], pa.string())
    known = {
        "prediction_id": ids,
        "request": ids,
        "event_time": _times(MARCH, n),
        "date": pa.array([MARCH.date()] * n, pa.date32()),
        **{name: rows[name] for name in rows.column_names},
    }
    schema = columns.PREDICTIONS
    own = {name: known.get(name, pa.nulls(n)).cast(schema.field(name).type) for name in schema.names}
    features = {name: _floats(rows[name]) for name in rows.column_names if name.startswith("feature_")}
    table = pa.table({**own, **features})
    labels = _labels(
        ids, rows["label"] if "label" in rows.column_names else pa.nulls(n, pa.string()), known["event_time"]
    )
    found = counted_parts(table.schema, parts)
    return count_answers(
        engine or EmbeddedEngine(),
        WINDOW,
        Source(table, answer_columns(found)),
        Source(labels, LABEL_COLUMNS),
        found,
    )


def each_once(rows: pa.Table, parts: Sequence[Part]) -> AnswerCounts:
    """Return the counts of judged rows of one hour, ungrouped: each stands for itself, which is quick."""
    whole = rows.append_column("n", pa.array(np.ones(rows.num_rows, dtype=np.int64)))
    found = {}
    for each in counted_parts(rows.schema, parts):
        table = whole
        if isinstance(each.part, ByInterval):
            values = whole[each.columns[0]].to_numpy()
            places = np.searchsorted(each.part.edges, values, side="right")
            table = whole.append_column(INTERVAL, pa.array(places, mask=np.isnan(values)))
        found[each.part] = table
    return AnswerCounts({}, whole.append_column("hour", pa.array(np.zeros(rows.num_rows, dtype=np.int64))), found)


def _labels(ids: pa.Array, labels: pa.ChunkedArray, made: pa.Array) -> pa.Table:
    n, schema = len(ids), columns.LABELS
    later = _times(datetime(2014, 1, 1, tzinfo=UTC), n)
    known = {
        "prediction_id": ids, "request": ids, "model": pa.repeat("flights", n), "label": labels, "at": later,
        "received_at": later, "event_time": made, "number": pa.array(np.arange(n)),
    }  # fmt: skip
    return pa.table([known.get(name, pa.nulls(n)).cast(schema.field(name).type) for name in schema.names], schema)


def _times(at: datetime, n: int) -> pa.Array:
    return pa.array([at] * n, columns.LABELS.field("at").type)


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.float64()) if pa.types.is_integer(column.type) or pa.types.is_null(column.type) else column
