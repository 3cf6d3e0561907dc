"""The entities of the registry: versions, the deployment of a model, and the events that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import UNKNOWN_TASK, Task

EventKind = Literal[
    "registered",
    "card",
    "approval_requested",
    "approved",
    "rejected",
    "forced",
    "transition",
    "weight",
    "rollback",
    "paused",
    "resumed",
    "policies",
    "held",
    "released",
    "not_loaded",
]


@dataclass(frozen=True)
class ModelVersion:
    """An artifact under a semantic version of a model. Its bytes never change; its stage and card do."""

    model: str
    version: str
    digest: str
    """SHA-256 of the file; for a folder, `folder-` and the SHA-256 of its manifest."""
    stage: Stage
    created_at: datetime
    schema: ModelSchema | None = None
    card: ModelCard | None = None
    baseline: Baseline | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    rolled_back: bool = False
    """Taken out of service as bad, and not promoted again since."""
    reason: str = ""
    """The reason of its last transition."""
    signature: str | None = None
    """OpenSSF model-signing bundle (JSON) over the bytes."""

    @property
    def task(self) -> Task:
        """The task of its schema; without a schema, a classification whose classes are not known."""
        return UNKNOWN_TASK if self.schema is None else self.schema.task


@dataclass(frozen=True)
class Deployment:
    """The versions that answer a model's requests, with their roles and shares."""

    model: str
    epoch: int
    """The number of this state; grows by one with every change."""
    champion: str | None
    canary: str | None
    canary_weight: float
    """Share of the traffic, 0 to 1, that the canary answers."""
    shadows: tuple[str, ...]
    salt: str
    """Random text that maps routing keys to arms; another one for every canary."""
    previous: str | None
    """The last champion that was not rolled back: the target of `rollback`, kept loaded."""
    updated_at: datetime
    guard: GuardPolicy = field(default_factory=GuardPolicy)
    """The treatment of requests that are unlike the training data."""
    on_hold: Hold | None = None
    """The hold that keeps requests from being answered; None while they are answered."""


@dataclass(frozen=True)
class Event:
    """A permanent record of one change. Events are chained: `hash` covers this row and the previous hash."""

    id: int
    model: str
    version: str | None
    kind: EventKind
    """`rollback` marks the version that was found bad; other versions move by `transition`."""
    from_stage: Stage | None
    to_stage: Stage | None
    actor: str
    reason: str
    evidence: Mapping[str, object]
    epoch: int
    at: datetime
    """By the clock of the registry: the event time while traffic is replayed."""
    recorded_at: datetime
    """By the machine's clock."""
    deployment: Deployment
    """The deployment after this change."""
    hash: str


@dataclass(frozen=True)
class Acknowledgement:
    """The statement of a worker process that it serves an epoch."""

    process: str
    epoch: int
    at: datetime
    """By the machine's clock."""


@dataclass(frozen=True)
class AuditHead:
    """The last event of a sound chain. Note its hash elsewhere, to find later whether last events were removed."""

    events: int
    hash: str
