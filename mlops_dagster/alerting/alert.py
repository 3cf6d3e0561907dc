"""One thing that is wrong with a model, from when it was first seen until it is over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """What an alert asks of people: to read it some day, to look at it today, to get up."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that is broken. One is open per model and rule; what is seen again makes it no other one."""

    id: int
    model: str
    rule: str
    """What was broken, as code: `macro_f1`, `validation`, `retraining_failed`."""
    severity: Severity
    summary: str
    """What is wrong, with the number and the limit it is held against."""
    done: str
    """What was done about it by the platform; empty if that is left to people."""
    evidence: Mapping[str, object]
    """The numbers, as JSON can hold them."""
    opened_at: datetime
    last_seen_at: datetime
    times: int
    """How often it was seen."""
    resolved_at: datetime | None
    resolution: str

    @property
    def open(self) -> bool:
        return self.resolved_at is None
