"""The alert: one thing that is wrong with a model, from its first sighting to its end; and the events of its life."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FLEET: Final = "*"
"""Stands for the model in an alert about all models, or about the platform. No model can have this name."""

LONGEST_KEY: Final = 255


class Severity(StrEnum):
    """The urgency of an alert: read it some day, look at it today, get up for it now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return 0 for info, 1 for warning, 2 for critical.

        >>> Severity.CRITICAL.rank > Severity.WARNING.rank
        True
        """
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured value with its limit. All numbers are in `unit`: 90.2 with "%" is 90.2 percent."""

    value: float
    low: float | None = None
    """The lower end of the value's interval; None if there is no interval."""
    high: float | None = None
    samples: int | None = None
    """The number of `counted` that the value comes from."""
    limit: float | None = None
    unit: str = ""
    """"%", "ms", "rows" ...; empty for a pure number."""
    counted: str = ""
    """The plural of what `samples` counts: "labels", "requests", "rows"."""
    window: timedelta | None = None
    """The length of the time that the value is about."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person's statement that an open alert is being worked on."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A broken rule of a model. One alert at most is open per model, rule and subject; a new sighting updates it."""

    id: int
    key: str
    """The name of this alert in every channel, equal for each of its openings; made by `alert_key`."""
    model: str
    """The model, or `FLEET`."""
    rule: str
    """The broken rule, as code: `headline`, `validation`, `retraining_failed`."""
    subject: str
    """The part of the model that the alert is about, such as a version; empty for the model as a whole."""
    version: str | None
    """The version that broke the rule; None if it is about no version."""
    severity: Severity
    summary: str
    """The fault, with the number and its limit."""
    reading: Reading | None
    """The number and its limit; None where nothing was measured."""
    since: datetime | None
    """The event time of the first evidence; None if it is unknown."""
    done: str
    """The platform's reaction; empty if people have to react."""
    acted: Mapping[str, object] | None
    """The evidence of the event that `done` tells of, such as the run of a retraining; None while `done` is what the
    last sighting said."""
    evidence: Mapping[str, object]
    """The numbers, as JSON can hold them."""
    opened_at: datetime
    last_seen_at: datetime
    times: int
    """The number of sightings."""
    flaps: int
    """How often this alert had opened in the seven days before it opened this time."""
    acknowledged: Acknowledgement | None
    """Ends with the alert, or when a warning becomes critical."""
    muted_by: str | None
    """The silence ("silence 3") or the open alert ("held", "fleet psi") that keeps it from being told; None if none."""
    told: bool
    """Whether it was handed to the channels since it opened; the end of any other is told to nobody."""
    resolved_at: datetime | None
    resolution: str

    @property
    def open(self) -> bool:
        return self.resolved_at is None

    @property
    def retraining(self) -> str | None:
        """The id of the Dagster run of the retraining that was started because of it, or that `done` is about."""
        run = (self.acted or {}).get("run")
        return run if isinstance(run, str) else None

    @property
    def runbook(self) -> str:
        """The page of the documentation about this rule: its meaning, and the commands to act."""
        return f"runbooks/{self.rule}"


class EventKind(StrEnum):
    """The kinds of events in the life of an alert; `INFO` is told without one."""

    OPENED = "opened"
    ESCALATED = "escalated"
    EASED = "eased"
    SEEN = "seen"
    ACTED = "acted"
    """The platform did something about it."""
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    UNMUTED = "unmuted"
    RESOLVED = "resolved"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A permanent record of one step in the life of an alert, or of one thing that was told without an alert."""

    id: int
    alert_id: int | None
    """None for `EventKind.INFO`."""
    model: str
    rule: str
    """The rule of the alert; for `EventKind.INFO` the `Notice`."""
    subject: str
    version: str | None
    kind: EventKind
    severity: Severity
    summary: str
    """The summary of the alert, or the reason of this step: of an acknowledgement, a mute, the end."""
    done: str
    evidence: Mapping[str, object]
    actor: str
    at: datetime
    """By the clock of the alerts: the event time while traffic is replayed. Never before the model's last event."""
    recorded_at: datetime
    """By the machine's clock."""
    alert: Alert | None
    """The alert after this event."""


def alert_key(name: str, model: str, rule: str, subject: str = "") -> str:
    """Return the key of an alert of the installation `name`, of at most 255 characters.

    A longer key is cut, and ends in 8 hexadecimal digits of the SHA-256 of the whole.

    >>> alert_key("staging", "churn", "headline")
    'mlops:staging:churn:headline'
    >>> alert_key("staging", "churn", "rolled_back", "2.4.1")
    'mlops:staging:churn:rolled_back:2.4.1'
    """
    key = ":".join(filter(None, ("mlops", name, model, rule, subject)))
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{key[: LONGEST_KEY - len(digest) - 1]}-{digest}"
