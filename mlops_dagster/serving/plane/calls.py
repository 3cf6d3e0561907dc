"""A request while it is processed, and the records that are kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypedDict

from mlops_dagster.access.http_status import status_of
from mlops_dagster.errors import MlopsError, ModelTimeoutError, OnHoldError
from mlops_dagster.predictions import Answered, PredictionRecord, Refusal, Role, speaking_row, unit_of
from mlops_dagster.serving.deployed.in_force import InForce
from mlops_dagster.serving.deployed.loaded_model import Columns, LoadedModel, Scores
from mlops_dagster.serving.protocol.infer import Column, InferRequest
from mlops_dagster.serving.telemetry.tracing import TraceContext, Traced

NO_COLUMNS: Columns = {}

# Bytes of a refused request that are kept: enough to see what is wrong, too little to fill the disk with.
RAW_BYTES = 64 * 1024


@dataclass(frozen=True)
class InferenceRequestContext:
    """A request, and the version that is to answer it."""

    id: str
    name: str
    """The request's own id, unique among all requests, while `id` may have been chosen by the client."""
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
        """The row of the request that counts as evidence; -1 while no versions are compared."""
        deployment = self.in_force.deployment
        if deployment.canary is None and not deployment.shadows:
            return -1
        return speaking_row(self.name, self.request.rows)

    @cached_property
    def unit(self) -> str:
        """The unit of evidence of the row `speaker`."""
        columns = {name: column.values for name, column in self.inputs.items()}
        return unit_of(self.in_force.trial, self.request.routing_key, columns, self.speaker, self.event_time)

    @property
    def prediction_ids(self) -> list[str]:
        """The ids of the predictions, one a row; for a single row it is the id of the request."""
        if self.request.rows == 1:
            return [self.id]
        return [f"{self.id}/{row}" for row in range(self.request.rows)]


@dataclass(frozen=True, slots=True)
class ScoringTask:
    """One version's part in a request: the columns that it scores, or the reason why it gets none."""

    version: LoadedModel
    role: Role
    weight: float
    columns: Columns
    refusal: MlopsError | None = None
    """Set if the version's schema refuses what another version accepts: the version's failure, not the client's."""
    beside: Answered | None = None
    """The answer that this scoring is compared with; None on the response path."""


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """A request that no version scores, for a mistake of the client or because the model is on hold."""

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
    """Whether its id and routing key could be read; if not, its sender could not be found, and its body is not kept."""
    trace: TraceContext
    columns: Columns = field(default_factory=dict)
    """The columns that the champion would have scored if the model were not on hold."""

    @property
    def status(self) -> Refusal:
        """The word for this refusal in log, traces and metrics."""
        return "held" if isinstance(self.error, OnHoldError) else "rejected"


class ScoringResult(NamedTuple):
    """A version's scores of a request, or its error, and the begin and end of its batch by `time.perf_counter()`."""

    result: Scores | MlopsError
    began: float | None = None
    """None if the batch was not scored, or was given up."""
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """The duration of the scoring; 0 if there was none."""
        return 0.0 if self.began is None or self.ended is None else self.ended - self.began


def timed_out(version: LoadedModel, patience: float) -> ScoringResult:
    """Return the result of a version that has not answered within `patience` seconds."""
    return ScoringResult(ModelTimeoutError(f"version {version.version} has not answered within {patience:g} s"))


def scored(
    call: InferenceRequestContext,
    scoring: ScoringTask,
    outcome: ScoringResult,
    process: str,
    answered_at: float | None = None,
) -> list[PredictionRecord]:
    """Return the records of a version's scoring of a request, one a row; `answered_at` if that version answers it."""
    deployment = call.in_force.deployment
    scores = None if isinstance(outcome.result, MlopsError) else outcome.result
    phases = _phases(call, outcome, answered_at)
    tensors = {} if scores is None else _on_request(call.request, scoring.version, scores)
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
            code=outcome.result.code if isinstance(outcome.result, MlopsError) else None,
            features={name: values[row] for name, values in scoring.columns.items()},
            prediction=None if scores is None else scores.labels[row],
            score=None if scores is None else scores.scores[row],
            tensors={name: tensor[row] for name, tensor in tensors.items()} if tensors else None,
            process=process,
            row=row,
            trace_id=call.trace.trace_id,
            unit=call.unit if row == call.speaker and scoring.role not in ("named", "none") else "",
            beside=scoring.beside,
            **phases,
        )
        for row, prediction_id in enumerate(call.prediction_ids)
    ]


def _on_request(request: InferRequest, version: LoadedModel, scores: Scores) -> Mapping[str, Sequence[Sequence[float]]]:
    """Return the outputs on request that the request asked for and the version gives: the log keeps them."""
    asked = [each for name in request.outputs if (each := version.outputs.by_name.get(name)) and each.on_request]
    return {each.name: scores.tensors[each.name] for each in asked}


def traced(call: InferenceRequestContext, outcome: ScoringResult, answered_at: float, batch: int) -> Traced:
    """Return the trace of an answered request, whose trace is sampled; `batch` requests were scored together."""
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
        status=rejection.status,
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
    """Return the latency and its phases; off the response path inference is the only phase, and the latency."""
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
    """Return the records of a refused request: one for each row that was read, or a single one."""
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
            status=rejection.status,
            error=str(rejection.error) if rejection.was_read else rejection.error.code,
            code=rejection.error.code,
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
