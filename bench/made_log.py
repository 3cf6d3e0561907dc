"""A prediction log of made rows with late labels, in the log's own schema, for benchmarks of whole days."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table

MODEL = "bench"
DAY = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 1_000_000
NUMBERS = 8
CARRIERS = ("AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV", "9E")
CLASSES = ("late", "on_time")
CORRECTED, KEYS = 0.05, 100_000


def fill(log: PredictionLog, rows: int) -> None:
    """Write one day of `rows` rows by a champion and a canary; nine of ten have a label, some a corrected one."""
    rng = np.random.default_rng(0)
    at, of_labels = log.place.table(predictions_table(MODEL)), log.place.table(LABELS_TABLE)
    for number, start in enumerate(range(0, rows, AT_ONCE)):
        count = min(AT_ONCE, rows - start)
        table = _predictions(rng, start, count, rows)
        delta.append(at, delta.open_or_create(at, columns.PREDICTIONS), table, {"bench": number + 1})
        labels = _labels(rng, table, start)
        delta.append(of_labels, delta.open_or_create(of_labels, columns.LABELS), labels, {"bench": number + 1})


def _predictions(rng: np.random.Generator, start: int, count: int, rows: int) -> pa.Table:
    numbers = np.arange(start, start + count)
    canary = rng.random(count) < 0.05
    failed = rng.random(count) < 0.003
    known: dict[str, pa.Array] = {
        "prediction_id": _texts("0d9c7a52-5f0e-4c1e-9f3a-", numbers),
        "request": _texts("7be1f0c2-91d4-4b7f-8a66-", numbers),
        "version": pa.array(np.where(canary, "1.1.0", "1.0.0")),
        "role": pa.array(np.where(canary, "canary", "champion")),
        "status": pa.array(np.where(failed, "failed", "ok")),
        "prediction": pa.array(rng.choice(CLASSES, count, p=(0.25, 0.75)), mask=failed),
        "score": pa.array(rng.random(count), mask=failed),
        "latency_ms": pa.array(rng.lognormal(1.5, 0.5, count)),
        "key": _texts("key-", rng.integers(0, KEYS, count)),
        "event_time": _times(DAY, numbers * (86_400_000_000 // rows)),
        "received_at": _times(DAY, numbers * (86_400_000_000 // rows)),
        "date": pa.repeat(pa.scalar(DAY.date()), count),
        "process": pa.repeat("process-1", count),
        "sequence": pa.array(numbers),
        "row": pa.array(np.zeros(count, dtype=np.int64)),
        "number": pa.array(numbers),
    }
    schema = columns.PREDICTIONS
    table = pa.table([known.get(name, pa.nulls(count, schema.field(name).type)) for name in schema.names], schema)
    for number in range(NUMBERS):
        values = rng.normal(size=count).round(2)
        table = table.append_column(f"feature_f{number}", pa.array(values, mask=rng.random(count) < 0.01))
    return table.append_column("feature_carrier", pa.array(rng.choice(CARRIERS, count)))


def _labels(rng: np.random.Generator, rows: pa.Table, start: int) -> pa.Table:
    """Of each labelled row one label of the next day, and of some another of the day after."""
    first = rows.filter(pa.array(rng.random(rows.num_rows) < 0.9))
    again = first.filter(pa.array(rng.random(first.num_rows) < CORRECTED))
    parts = [_known(rng, part, day, start) for day, part in ((1, first), (2, again))]
    return pa.concat_tables(parts)


def _known(rng: np.random.Generator, rows: pa.Table, day: int, start: int) -> pa.Table:
    count, schema = rows.num_rows, columns.LABELS
    at = pc.add(rows["event_time"], pa.scalar(timedelta(days=day)))
    wrong = rng.random(count) < 0.08
    said = rows["prediction"].to_numpy()
    others = np.where(said == "late", "on_time", "late")
    known = {
        **{name: rows[name] for name in ("prediction_id", "request", "event_time")},
        "model": pa.repeat(MODEL, count),
        "label": pa.array(np.where(wrong | (said == None), others, said)),  # noqa: E711  # of numpy, by element
        "at": at,
        "received_at": at,
        "correction": pa.repeat(pa.scalar(day > 1), count),
        "number": pa.array(np.arange(count) + 2 * start + (day - 1) * AT_ONCE),
        "date": at.cast(pa.date32()),
    }
    return pa.table([known.get(name, pa.nulls(count, schema.field(name).type)) for name in schema.names], schema)


def _texts(prefix: str, numbers: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 12, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _times(start: datetime, microseconds: np.ndarray) -> pa.Array:
    epoch = int(start.timestamp() * 1e6)
    return pa.array(microseconds + epoch).cast(columns.LABELS.field("at").type)
