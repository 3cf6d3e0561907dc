"""The steps that change alerts: a broken rule was seen, a rule is kept again, something happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from mlops_dagster.alerting.alert import Alert, Reading, Severity
from mlops_dagster.alerting.rule import Notice, Rule
from mlops_dagster.documents.texts import plain


@dataclass(frozen=True, slots=True)
class Sighting:
    """The result of one look at a broken rule; the fields are those of `Alert`."""

    model: str
    rule: Rule
    subject: str
    severity: Severity
    summary: str
    version: str | None = None
    reading: Reading | None = None
    since: datetime | None = None
    done: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)

    def seen_in(self, alert: Alert, at: datetime) -> Alert:
        """Return the open alert after this sighting; its first evidence stays, and so does what was done."""
        after = replace(
            alert,
            severity=self.severity,
            summary=plain(self.summary),
            version=self.version,
            reading=self.reading,
            since=alert.since or self.since,
            done=plain(self.done) if alert.acted is None else alert.done,
            evidence=self.evidence,
            last_seen_at=at,
            times=alert.times + 1,
        )
        worse = alert.severity is not Severity.CRITICAL and self.severity is Severity.CRITICAL
        return replace(after, acknowledged=None) if worse else after


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of an alert, if it is open, with the reason why it is over."""

    model: str
    rule: Rule
    resolution: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a model, told once and without an alert."""

    model: str
    notice: Notice
    summary: str
    version: str | None = None
    done: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


Step: TypeAlias = Sighting | Ending | News
