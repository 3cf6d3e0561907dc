"""Models, versions, their key figures, and the epoch in force at each worker."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlops_dagster.alerting import Severity
from mlops_dagster.board.snapshot.entities.section import Series


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model of this page, the one in the worst state first."""

    model: str
    champion: str | None
    canary: str | None
    canary_weight: float
    shadows: tuple[str, ...]
    severity: Severity | None
    """The severity of its worst open alert; None if none is open. Nothing is well while the watch is silent."""
    alerts: int
    on_hold: str
    """The reason why no request is answered; empty if the model is not on hold."""
    on_hold_by: str
    on_hold_since: datetime | None
    owners: tuple[str, ...]
    epoch: int
    workers: tuple["WorkerRow", ...]
    """Empty of a page about the past: only the last epoch of each worker is kept."""
    versions: int
    hidden_versions: int
    """The versions that are not among the rows of this page; the model's own pages have them all."""
    command: str
    """The command that matters now: to release the hold, else to show the history."""
    dagster: str | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker of the data plane, with the last epoch of the model that it said it serves."""

    process: str
    epoch: int
    in_force: bool
    """True if it serves the present epoch."""
    at: datetime
    """The time of its acknowledgement, by the machine's clock."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: those in a role first, then the newest first."""

    model: str
    version: str
    trained: datetime
    """The end of its training data, or the time of its registration."""
    accuracy: float | None
    """On the held-out rows of its evaluation."""
    stage: str
    """Registered, Shadow, Canary, Production or Deprecated."""
    rolled_back: bool
    role: Literal["champion", "canary", "shadow"] | None
    traffic: float
    """The share of the requests that it answers."""
    on_hold: bool
    why: str
    """The reason of its last move."""
    why_at: datetime | None
    has_card: bool
    command: str
    run: str | None
    """The page of the Dagster run that trained it."""
    asset: str | None
    """The page of its Dagster asset."""


@dataclass(frozen=True, slots=True)
class KpiRow:
    """The live figures of one version over the last 24 hours, for rows that the split let it answer."""

    model: str
    version: str
    role: Literal["champion", "canary", "shadow"] | None
    requests: int
    errors: int
    error_rate: float | None
    p50_ms: float | None
    p99_ms: float | None
    accuracy: float | None
    low: float | None
    high: float | None
    labels: int
    awaiting: int
    """Its answers without a label."""
    grafana: str | None
    """The dashboard with the history of the series."""
    accuracy_series: Series
    p99_series: Series
    error_series: Series
    request_series: Series
