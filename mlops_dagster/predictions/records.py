"""Records of predictions and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from mlops_dagster.clock import in_utc

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
    code: str | None = None  # of the error
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


def microseconds(time: datetime) -> int:
    """Convert a time to microseconds since 1970.

    >>> microseconds(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60000000
    """
    return (in_utc(time) - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Convert microseconds since 1970 to a time: the inverse of `microseconds`."""
    return _EPOCH + value * _MICROSECOND
