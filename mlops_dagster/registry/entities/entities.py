"""What the registry keeps: versions, the deployment of a model, and the events that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.schema import ModelSchema

EventKind = Literal[
    "registered",
    "card",
    "gates",
    "approval_requested",
    "approved",
    "rejected",
    "forced",
    "transition",
    "weight",
    "rollback",
    "paused",
    "resumed",
    "guard",
    "held",
    "released",
    "not_loaded",
]


@dataclass(frozen=True)
class ModelVersion:
    """One artifact under one semantic version. Its bytes never change; its stage and card do."""

    model: str
    version: str
    digest: str
    """SHA-256 of the file; for a folder `folder-` and the SHA-256 of its manifest."""
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
    """Taken out of service as bad, and not champion again since."""
    reason: str = ""
    """Of its last transition."""
    signature: str | None = None
    """OpenSSF model-signing bundle (JSON) over the bytes."""


@dataclass(frozen=True)
class Deployment:
    """Who answers a model's requests."""

    model: str
    epoch: int
    """Grows by one with every change."""
    champion: str | None
    canary: str | None
    canary_weight: float
    """Share of the traffic, 0 to 1, that the canary answers."""
    shadows: tuple[str, ...]
    salt: str
    """Deals the routing keys to the arms; another one for every canary."""
    previous: str | None
    """The champion before, not counting versions that were rolled back: where `rollback` goes, kept warm."""
    updated_at: datetime
    guard: GuardPolicy = field(default_factory=GuardPolicy)
    """What is done about requests that are unlike the training data."""
    on_hold: Hold | None = None
    """Why no request is answered now."""


@dataclass(frozen=True)
class Event:
    """One change, for ever. Events are chained: `hash` covers this row and the hash before it."""

    id: int
    model: str
    version: str | None
    kind: EventKind
    """`rollback` marks the version that was found bad; the stages of others move by `transition`."""
    from_stage: Stage | None
    to_stage: Stage | None
    actor: str
    reason: str
    evidence: Mapping[str, object]
    epoch: int
    at: datetime
    """By the clock of the registry: event time when traffic is replayed."""
    recorded_at: datetime
    """By the machine's clock."""
    deployment: Deployment
    """As this change left it."""
    hash: str


@dataclass(frozen=True)
class Acknowledgement:
    """A worker process says which epoch it serves."""

    process: str
    epoch: int
    at: datetime
    """By the machine's clock."""


@dataclass(frozen=True)
class AuditHead:
    """The last event of a sound chain. Note its hash somewhere else: `audit(hash)` finds it again, or the cut."""

    events: int
    hash: str
