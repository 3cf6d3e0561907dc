"""The alert: one thing that is wrong with a model, from its first sighting to its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """The urgency of an alert: read it some day, look at it today, get up for it now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """A broken rule of a model. One alert at most is open per model and rule; a new sighting updates it."""

    id: int
    model: str
    rule: str
    """The broken rule, as code: `macro_f1`, `validation`, `retraining_failed`."""
    severity: Severity
    summary: str
    """The fault, with the number and its limit."""
    done: str
    """The platform's reaction; empty if people have to react."""
    evidence: Mapping[str, object]
    """The numbers, as JSON can hold them."""
    opened_at: datetime
    last_seen_at: datetime
    times: int
    """The number of sightings."""
    resolved_at: datetime | None
    resolution: str

    @property
    def open(self) -> bool:
        return self.resolved_at is None

    @property
    def runbook(self) -> str:
        """The page of the documentation about this rule: its meaning, and the commands to act."""
        return f"runbooks/{self.rule}"
