"""A request on its way, and the records that are kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypedDict

from mlops_dagster.errors import MlopsError, ModelTimeoutError, OnHoldError
from mlops_dagster.predictions import Answered, PredictionRecord, Role, speaking_row, unit_of
from mlops_dagster.serving.deployed.deployments import InForce
from mlops_dagster.serving.deployed.loaded_model import Columns, LoadedModel, Scores
from mlops_dagster.serving.http.status import status_of
from mlops_dagster.serving.protocol.infer import Column, InferRequest
from mlops_dagster.serving.telemetry.tracing import TraceContext, Traced

NO_COLUMNS: Columns = {}

# Of a refused request so much is kept: enough to see what is wrong, too little to fill the disk with.
RAW_BYTES = 64 * 1024


@dataclass(frozen=True)
class InferenceRequestContext:
    """One request and the version that is to answer it."""

    id: str
    name: str
    """Unique among all requests, whatever `id` its client chose."""
    in_force: InForce
    request: InferRequest
    inputs: Mapping[str, Column]
    event_time: datetime
    received_at: datetime
    started: float
    """`time.perf_counter()` at its receipt."""
    trace: TraceContext
    scoring: "ScoringTask"

    @cached_property
    def speaker(self) -> int:
        """The row that is evidence for its request; -1 while no versions are compared."""
        deployment = self.in_force.deployment
        if deployment.canary is None and not deployment.shadows:
            return -1
        return speaking_row(self.name, self.request.rows)

    @cached_property
    def unit(self) -> str:
        """What that row is evidence of."""
        columns = {name: column.values for name, column in self.inputs.items()}
        return unit_of(self.in_force.trial, self.request.routing_key, columns, self.speaker, self.event_time)

    @property
    def prediction_ids(self) -> list[str]:
        """One a row; of a single row it is the id of the request."""
        if self.request.rows == 1:
            return [self.id]
        return [f"{self.id}/{row}" for row in range(self.request.rows)]


@dataclass(frozen=True, slots=True)
class ScoringTask:
    """One version's part in a call: what it is given, or why it is given nothing."""

    version: LoadedModel
    role: Role
    weight: float
    columns: Columns
    refusal: MlopsError | None = None
    """The version's own schema refuses what another version accepts: its failure, not the client's."""
    beside: Answered | None = None
    """Off the response path: the answer that this is compared with."""


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """A request that no version was given: by the client's mistake, or since the model is on hold."""

    id: str
    name: str
    model: str
    version: str
    key: str | None
    event_time: datetime
    received_at: datetime
    latency_ms: float
    error: MlopsError
    body: bytes
    was_read: bool
    """So far that its id and routing key are known; else nobody could find whose it is, and its body is not kept."""
    trace: TraceContext
    columns: Columns = field(default_factory=dict)
    """What the champion would have been given, but for the hold."""


class ScoringResult(NamedTuple):
    """What one version made of a request, and from when to when its batch was scored (`time.perf_counter()`)."""

    result: Scores | MlopsError
    began: float | None = None
    """None if it never was."""
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long scoring took."""
        return 0.0 if self.began is None or self.ended is None else self.ended - self.began


def timed_out(version: LoadedModel, patience: float) -> ScoringResult:
    """The outcome for a version that hangs."""
    return ScoringResult(ModelTimeoutError(f"version {version.version} has not answered within {patience:g} s"))


def scored(
    call: InferenceRequestContext,
    scoring: ScoringTask,
    outcome: ScoringResult,
    process: str,
    answered_at: float | None = None,
) -> list[PredictionRecord]:
    """The records of one version's scoring of a call, one a row; `answered_at` is for the version that answers it."""
    deployment = call.in_force.deployment
    scores = None if isinstance(outcome.result, MlopsError) else outcome.result
    phases = _phases(call, outcome, answered_at)
    wants_probabilities = "probabilities" in call.request.outputs
    return [
        PredictionRecord(
            prediction_id=prediction_id,
            request=call.name,
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
            trace_id=call.trace.trace_id,
            unit=call.unit if row == call.speaker and scoring.role not in ("named", "none") else "",
            beside=scoring.beside,
            **phases,
        )
        for row, prediction_id in enumerate(call.prediction_ids)
    ]


def traced(call: InferenceRequestContext, outcome: ScoringResult, answered_at: float, batch: int) -> Traced:
    """What is told of an answered call, if its trace is sampled."""
    error = outcome.result if isinstance(outcome.result, MlopsError) else None
    return Traced(
        call.trace,
        model=call.in_force.deployment.model,
        version=call.scoring.version.version,
        role=call.scoring.role,
        status="ok" if error is None else "failed",
        error=None if error is None else error.code,
        http_status=200 if error is None else status_of(error),
        rows=call.request.rows,
        batch=batch,
        received_at=call.received_at,
        **_phases(call, outcome, answered_at),
    )


def traced_rejection(rejection: RejectedRequest) -> Traced:
    return Traced(
        rejection.trace,
        model=rejection.model,
        version=rejection.version,
        role="none",
        status="rejected",
        error=rejection.error.code,
        http_status=status_of(rejection.error),
        rows=0,
        batch=0,
        received_at=rejection.received_at,
        latency_ms=rejection.latency_ms,
        preprocess_ms=rejection.latency_ms,
        inference_ms=None,
        postprocess_ms=None,
    )


class _Phases(TypedDict):
    latency_ms: float
    preprocess_ms: float | None
    inference_ms: float | None
    postprocess_ms: float | None


def _phases(call: InferenceRequestContext, outcome: ScoringResult, answered_at: float | None) -> _Phases:
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


def rejected(rejection: RejectedRequest, process: str) -> list[PredictionRecord]:
    """The records of a request that was refused: one, or one for each row that was read."""
    rows = max(map(len, rejection.columns.values()), default=1)
    return [
        PredictionRecord(
            prediction_id=rejection.id if rows == 1 else f"{rejection.id}/{row}",
            request=rejection.name,
            model=rejection.model,
            version=rejection.version,
            role="none",
            weight=0.0,
            epoch=0,
            salt="",
            key=rejection.key,
            event_time=rejection.event_time,
            received_at=rejection.received_at,
            status="held" if isinstance(rejection.error, OnHoldError) else "rejected",
            error=str(rejection.error) if rejection.was_read else rejection.error.code,
            features={name: values[row] for name, values in rejection.columns.items()},
            prediction=None,
            score=None,
            latency_ms=rejection.latency_ms,
            process=process,
            row=row,
            trace_id=rejection.trace.trace_id,
            raw=rejection.body[:RAW_BYTES].decode(errors="replace")
            if rejection.was_read and not rejection.columns
            else None,
        )
        for row in range(rows)
    ]
