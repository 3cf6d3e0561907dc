"""A request on its way, and the records that are kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.errors import MlopsError
from mlops_dagster.predictions import PredictionRecord, Role, Status
from mlops_dagster.serving.deployments import InForce
from mlops_dagster.serving.models import Columns, LoadedModel, Scores
from mlops_dagster.serving.protocol import Column, InferRequest

NO_COLUMNS: Columns = {}

# Of a refused request so much is kept: enough to see what is wrong, too little to fill the disk with.
RAW_BYTES = 64 * 1024


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


def scored(
    call: Call, scoring: Scoring, outcome: Scores | MlopsError, latency_ms: float, process: str
) -> list[PredictionRecord]:
    """The records of one version's scoring of a call, one a row."""
    deployment = call.in_force.deployment
    status: Status = "failed" if isinstance(outcome, MlopsError) else "ok"
    names = tuple(scoring.columns)
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
            status=status,
            error=str(outcome) if isinstance(outcome, MlopsError) else None,
            features={name: scoring.columns[name][row] for name in names},
            prediction=None if isinstance(outcome, MlopsError) else outcome.labels[row],
            score=None if isinstance(outcome, MlopsError) else outcome.scores[row],
            latency_ms=latency_ms,
            process=process,
            row=row,
        )
        for row, prediction_id in enumerate(call.prediction_ids)
    ]


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
        raw=rejection.body[:RAW_BYTES].decode(errors="replace"),
    )
