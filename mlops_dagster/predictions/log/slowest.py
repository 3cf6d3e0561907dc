"""The slowest requests of a stretch of time, with their trace ids: the way from a slow panel to a trace."""

from datetime import datetime
from typing import NamedTuple

from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.records import ANSWERED


class SlowRequest(NamedTuple):
    """An answered request, with its latency and the phases of it, in milliseconds; a phase not reached is None."""

    event_time: datetime
    version: str
    role: str
    status: str
    latency_ms: float
    preprocess_ms: float | None
    inference_ms: float | None
    postprocess_ms: float | None
    prediction_id: str
    """Of its first row."""
    process: str
    trace_id: str | None


def slowest(log: PredictionLog, model: str, since: datetime, until: datetime, count: int) -> list[SlowRequest]:
    """Return the requests of the model in [since, until) that took longest, the slowest first. Raises StorageError."""
    import pyarrow.compute as pc
    import pyarrow.dataset as pads

    from mlops_dagster.predictions.log.delta import tables as delta

    chosen = delta.window(since, until, ANSWERED) & (pads.field("row") == 0)
    with log.prediction_rows(model, first=since.date(), last=until.date()) as rows:
        found = rows.to_table(list(SlowRequest._fields), filter=chosen)
    places = pc.select_k_unstable(found, count, [("latency_ms", "descending"), ("event_time", "ascending")])
    return [SlowRequest(**row) for row in found.take(places).to_pylist()]
