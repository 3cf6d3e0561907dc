"""One decision of a rollout: its arithmetic, its replay, and its replay under another policy."""

from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.board.snapshot.entities.rollouts import Proof


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """The events of one arm at one share of the traffic."""

    share: float | None
    """The canary's share; None for scorings off the response path."""
    arm: str
    requests: int
    errors: int
    slow: int
    labelled: int
    wrong: int
    without_label: int


@dataclass(frozen=True, slots=True)
class PolicyField:
    """One field of the rollout policy, as JSON text."""

    name: str
    value: str
    """The value in force when this was decided."""
    other: str
    """The value of the other policy; equal to `value` unless it was changed."""
    description: str


@dataclass(frozen=True, slots=True)
class ImaginedLook:
    """One recorded look of the rollout, as the other policy would have decided."""

    decision: int
    at: datetime
    decided: str
    would_decide: str
    would_stand_at: str
    certain: bool
    """True up to the first other decision: later evidence is that of the way which was taken."""
    reason: str


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """One decision with all that it rests on."""

    id: int
    rollout: int
    model: str
    challenger: str
    champion: str
    at: datetime
    recorded_at: datetime | None
    outcome: str
    reason: str
    by: str
    """The evidence, a person, or others."""
    stood_at: str
    """The phase, step and share of the traffic, in words."""
    step_at: datetime
    deadline: datetime
    labels: str
    without_label: tuple[tuple[str, int], ...]
    proofs: tuple[Proof, ...]
    arms: tuple[ArmCounts, ...]
    differences: tuple[str, ...]
    """The differences between the stored decision and the one made again now; empty if it is the same to the bit."""
    policy: tuple[PolicyField, ...]
    looks: tuple[ImaginedLook, ...]
    """The replay under the other policy; empty if no other one was asked for."""
    parts_at: int | None
    """The first decision at which the other policy decides otherwise; None if there is none."""
    caveats: tuple[str, ...]
    """What this history cannot tell about the other policy."""
    previous: int | None
    next: int | None
    """The neighbouring decisions of the rollout."""
    commands: tuple[str, ...]
    dagster: str | None
