"""Records of predictions and labels, and the JSON in which they wait in the spool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Literal, NamedTuple, NotRequired, TypeAlias, TypedDict

import orjson

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.names import check_model_name

Role: TypeAlias = Literal["champion", "canary", "shadow", "paired", "named", "none"]
"""The arm's part: answered by the split (champion, canary), scored off the response path (paired: the other arm of a
canary; shadow), answered because the request named the version (named), or nothing answered (none: rejected).
"""

Refusal: TypeAlias = Literal["rejected", "held"]
Status: TypeAlias = Literal["ok", "failed", "rejected", "held"]
"""Rejected for a mistake of the client's, failed by the model, or held: refused because the model was on hold."""

SERVED: tuple[Role, ...] = ("champion", "canary")
"""The roles answered by the split: those that drift, accuracy and the bad-event tests read."""

ANSWERED: tuple[Role, ...] = ("champion", "canary", "named", "none")
"""The roles of which there is one row for every row that a client sent; other roles are additional scorings of it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Answered(NamedTuple):
    """The version that answered a request, its role, and the status of its answer."""

    version: str
    role: Role
    status: Status


class PredictionRecord(NamedTuple):
    """One row scored by one version (or refused, or failed).

    `prediction_id` names the row that the client sent; every arm that scored it carries the same id. Clients choose ids
    and repeat them, so `request` names the request itself: it is unique, and the same for all its rows and arms.

    `features` holds the model's input, also where a hold kept the model from answering; for a request that was read and
    refused they are empty and `raw` holds the request. Of a request that could not be read, only the code of the error
    is kept: it cannot be known whose data it is, so no erasure would find it.
    """

    prediction_id: str
    request: str
    model: str
    version: str  # "" when no version was reached
    role: Role
    weight: float  # the answering arm's routing probability; for paired and shadow rows the canary weight in force
    epoch: int
    salt: str
    key: str | None
    event_time: datetime
    received_at: datetime
    status: Status
    error: str | None
    features: Mapping[str, float | str | None]
    prediction: str | None
    score: float | None
    latency_ms: float  # from receipt to this record; the phases below are parts of it
    process: str
    row: int  # position in its request
    raw: str | None = None
    tensors: Mapping[str, Sequence[float]] | None = None  # further outputs of the task that the request asked for
    preprocess_ms: float | None = None  # read, checked, routed, and waited for its batch
    inference_ms: float | None = None  # the estimator, with its whole batch
    postprocess_ms: float | None = None
    trace_id: str | None = None  # 32 hexadecimal digits, of W3C Trace Context
    unit: str = ""  # the unit for which the row's label is evidence (see `units`); "" if it is none
    beside: Answered | None = None  # of a row scored off the response path: the answer it is compared with


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """The label of one prediction. `at` is the time it became known, `received_at` the time it came here."""

    prediction_id: str
    model: str
    label: str
    at: datetime
    received_at: datetime
    correction: bool  # another label came before
    actor: str | None = None  # the token with which it was sent, where tokens are needed


class Hit(NamedTuple):
    """The first label of a prediction, as evidence for one arm that had scored it."""

    model: str
    version: str
    role: Role
    prediction: str
    label: str


@dataclass(frozen=True, slots=True)
class ShedRecord:
    """Scorings off the response path that were left out under overload, of rows of about the same time."""

    model: str
    version: str  # the version that would have scored them
    role: Role
    weight: float
    event_time: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """The result of taking a batch of labels.

    `accepted` and `unknown` add up to the batch; `corrections`, `repeated` labels, and `pending` ones (kept for the
    replica that answered) are among the accepted. `hits` counts the evidence: one for every arm that a first label
    finds.
    """

    accepted: int
    corrections: int
    unknown: list[str]
    hits: Mapping[Hit, int] = field(default_factory=dict)
    repeated: int = 0
    pending: int = 0


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
    event_time: NotRequired[int]  # of the prediction; earlier releases did not write it


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


def microseconds(time: datetime) -> int:
    """Convert a time to microseconds since 1970.

    >>> microseconds(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60000000
    """
    return (in_utc(time) - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Convert microseconds since 1970 to a time: the inverse of `microseconds`."""
    return _EPOCH + value * _MICROSECOND


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
