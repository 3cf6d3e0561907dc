"""A request on its way, and the records that are kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypedDict

from mlops_dagster.errors import MlopsError, ModelTimeoutError
from mlops_dagster.predictions import PredictionRecord, Role
from mlops_dagster.serving.deployments import InForce
from mlops_dagster.serving.models import Columns, LoadedModel, Scores
from mlops_dagster.serving.protocol import Column, InferRequest

NO_COLUMNS: Columns = {}


@dataclass(frozen=True, slots=True)
class Call:
    """One request and the version that is to answer it."""

    id: str
    in_force: InForce
    request: InferRequest
    inputs: Mapping[str, Column]
    event_time: datetime
    received_at: datetime
    started: float
    """`time.perf_counter()` at its receipt."""
    scoring: "Scoring"

    @property
    def prediction_ids(self) -> list[str]:
        """One a row; of a single row it is the id of the request."""
        if self.request.rows == 1:
            return [self.id]
        return [f"{self.id}/{row}" for row in range(self.request.rows)]


@dataclass(frozen=True, slots=True)
class Scoring:
    """One version's part in a call: what it is given, or why it is given nothing."""

    version: LoadedModel
    role: Role
    weight: float
    columns: Columns
    refusal: MlopsError | None = None
    """The version's own schema refuses what another version accepts: its failure, not the client's."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that no version was given: the client's mistake."""

    id: str
    model: str
    version: str
    key: str | None
    event_time: datetime
    received_at: datetime
    latency_ms: float
    error: MlopsError
    body: bytes


class Outcome(NamedTuple):
    """What one version made of a request, and from when to when its batch was scored (`time.perf_counter()`)."""

    result: Scores | MlopsError
    began: float | None = None
    """None if it never was."""
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long scoring took."""
        return 0.0 if self.began is None or self.ended is None else self.ended - self.began


def timed_out(version: LoadedModel, patience: float) -> Outcome:
    """The outcome for a version that hangs."""
    return Outcome(ModelTimeoutError(f"version {version.version} has not answered within {patience:g} s"))


def scored(
    call: Call, scoring: Scoring, outcome: Outcome, process: str, answered_at: float | None = None
) -> list[PredictionRecord]:
    """The records of one version's scoring of a call, one a row; `answered_at` is for the version that answers it."""
    deployment = call.in_force.deployment
    scores = None if isinstance(outcome.result, MlopsError) else outcome.result
    phases = _phases(call, outcome, answered_at)
    wants_probabilities = "probabilities" in call.request.outputs
    return [
        PredictionRecord(
            prediction_id=prediction_id,
            model=deployment.model,
            version=scoring.version.version,
            role=scoring.role,
            weight=scoring.weight,
            epoch=deployment.epoch,
            salt=deployment.salt,
            key=call.request.routing_key,
            event_time=call.event_time,
            received_at=call.received_at,
            status="failed" if scores is None else "ok",
            error=str(outcome.result) if scores is None else None,
            features={name: values[row] for name, values in scoring.columns.items()},
            prediction=None if scores is None else scores.labels[row],
            score=None if scores is None else scores.scores[row],
            probabilities=scores.probabilities[row] if scores is not None and wants_probabilities else None,
            process=process,
            row=row,
            **phases,
        )
        for row, prediction_id in enumerate(call.prediction_ids)
    ]


class _Phases(TypedDict):
    latency_ms: float
    preprocess_ms: float | None
    inference_ms: float | None
    postprocess_ms: float | None


def _phases(call: Call, outcome: Outcome, answered_at: float | None) -> _Phases:
    """Off the response path there is but inference, and that is the latency."""
    began, ended = outcome.began, outcome.ended
    inference = None if began is None or ended is None else _ms(began, ended)
    if answered_at is None:
        return _Phases(latency_ms=inference or 0.0, preprocess_ms=None, inference_ms=inference, postprocess_ms=None)
    return _Phases(
        latency_ms=_ms(call.started, answered_at),
        preprocess_ms=None if began is None else _ms(call.started, began),
        inference_ms=inference,
        postprocess_ms=None if ended is None else _ms(ended, answered_at),
    )


def _ms(since: float, until: float) -> float:
    return round((until - since) * 1000, 4)


def rejected(rejection: Rejection, process: str) -> PredictionRecord:
    """The record of a request that was refused."""
    return PredictionRecord(
        prediction_id=rejection.id,
        model=rejection.model,
        version=rejection.version,
        role="none",
        weight=0.0,
        epoch=0,
        salt="",
        key=rejection.key,
        event_time=rejection.event_time,
        received_at=rejection.received_at,
        status="rejected",
        error=str(rejection.error),
        features={},
        prediction=None,
        score=None,
        latency_ms=rejection.latency_ms,
        process=process,
        row=0,
        raw=rejection.body.decode(errors="replace"),
    )
