"""The records of predictions and labels as JSON, as the spool keeps them."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NotRequired, TypedDict

import orjson

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.names import check_model_name
from mlops_dagster.predictions.records import (
    Answered,
    PredictionRecord,
    Role,
    ShedRecord,
    Status,
    microseconds,
)


class Arm(TypedDict):
    """A scored arm that awaits the label of its prediction. Times are microseconds since 1970."""

    request: str
    unit: str
    version: str
    role: Role
    weight: float
    salt: str
    key: str | None
    prediction: str
    event_time: int


class AnsweredEntry(TypedDict):
    """An Answered in the spool."""

    version: str
    role: Role
    status: Status


class PredictionEntry(TypedDict):
    """A PredictionRecord in the spool."""

    prediction_id: str
    request: str
    model: str
    version: str
    role: Role
    weight: float
    epoch: int
    salt: str
    key: str | None
    event_time: int
    received_at: int
    status: Status
    error: str | None
    code: str | None
    features: dict[str, float | str | None]
    prediction: str | None
    score: float | None
    latency_ms: float
    process: str
    row: int
    raw: str | None
    tensors: Mapping[str, Sequence[float]] | None
    preprocess_ms: float | None
    inference_ms: float | None
    postprocess_ms: float | None
    trace_id: str | None
    unit: str
    beside: AnsweredEntry | None
    infinite: NotRequired[dict[str, int]]  # features that are infinite, with their sign: JSON has them as null


class LabelEntry(TypedDict):
    """A LabelRecord in the spool, with the arms it is evidence for (none for a correction)."""

    prediction_id: str
    request: str  # the request that holds the id: the label belongs to its row only
    model: str
    label: str
    at: int
    received_at: int
    correction: bool
    actor: str | None
    arms: list[Arm]
    event_time: int  # of the prediction


class LateEntry(TypedDict):
    """An arm that scored a prediction after its first label came, and that this label is still evidence for.

    `late` comes first, which distinguishes the entry from a label. It is a count for the rollups; the log has both rows
    already.
    """

    late: Arm
    beside: list[Arm]  # the arms that are counted already: for pairs with the late one
    model: str
    label: str
    at: int


class ShedEntry(TypedDict):
    """A ShedRecord in the spool. `shed`, the number of rows, comes first: that distinguishes it from a label."""

    shed: int
    model: str
    version: str
    role: Role
    weight: float
    event_time: int


def encode_prediction(record: PredictionRecord) -> bytes:
    """Encode a record as the JSON of a PredictionEntry; NaN becomes null.

    Raises InvalidNameError, and InvalidInputError for values that JSON cannot hold.
    """
    check_model_name(record.model)
    entry: PredictionEntry = {
        "prediction_id": record.prediction_id,
        "request": record.request,
        "model": record.model,
        "version": record.version,
        "role": record.role,
        "weight": record.weight,
        "epoch": record.epoch,
        "salt": record.salt,
        "key": record.key,
        "event_time": microseconds(record.event_time),
        "received_at": microseconds(record.received_at),
        "status": record.status,
        "error": record.error,
        "code": record.code,
        "features": dict(record.features),
        "prediction": record.prediction,
        "score": record.score,
        "latency_ms": record.latency_ms,
        "process": record.process,
        "row": record.row,
        "raw": record.raw,
        "tensors": record.tensors,
        "preprocess_ms": record.preprocess_ms,
        "inference_ms": record.inference_ms,
        "postprocess_ms": record.postprocess_ms,
        "trace_id": record.trace_id,
        "unit": record.unit,
        "beside": None if record.beside is None else _answered(record.beside),
    }
    values = record.features.values()
    if inf in values or -inf in values:
        signs = {inf: 1, -inf: -1}
        entry["infinite"] = {
            name: signs[value] for name, value in record.features.items() if isinstance(value, float) and value in signs
        }
    try:
        return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise InvalidInputError(f"prediction {record.prediction_id!r} cannot be recorded: {error}") from error


def _answered(beside: Answered) -> AnsweredEntry:
    return {"version": beside.version, "role": beside.role, "status": beside.status}


def encode_shed(record: ShedRecord) -> bytes:
    """Encode a record as the JSON of a ShedEntry."""
    entry: ShedEntry = {
        "shed": record.rows,
        "model": record.model,
        "version": record.version,
        "role": record.role,
        "weight": record.weight,
        "event_time": microseconds(record.event_time),
    }
    return orjson.dumps(entry)
