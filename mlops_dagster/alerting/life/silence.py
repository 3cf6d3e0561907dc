"""The silence: a time in which matching alerts are recorded without being told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from mlops_dagster.alerting.alert import Alert
from mlops_dagster.errors import InvalidInputError

LONGEST: Final = timedelta(days=30)
NAME: Final = "silence"


@dataclass(frozen=True, slots=True)
class Silence:
    """Globs for model, rule, severity and version of alerts that are not told from `starts_at` until `ends_at`."""

    id: int
    model: str
    rule: str
    severity: str
    version: str
    """The glob "*" also matches an alert without a version; no other glob does."""
    starts_at: datetime
    ends_at: datetime
    actor: str
    reason: str
    ended_at: datetime | None
    """The time at which a person ended it early; None if nobody did."""
    ended_by: str | None
    end_reason: str | None

    @property
    def name(self) -> str:
        return f"{NAME} {self.id}"

    def covers(self, alert: Alert) -> bool:
        """Tell whether all four globs match the alert, upper and lower case told apart."""
        return (
            fnmatchcase(alert.model, self.model)
            and fnmatchcase(alert.rule, self.rule)
            and fnmatchcase(alert.severity, self.severity)
            and fnmatchcase(alert.version or "", self.version)
        )


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Raise InvalidInputError unless a silence ends after it starts, and at most 30 days after."""
    if not starts_at < ends_at <= starts_at + LONGEST:
        raise InvalidInputError(
            f"a silence from {starts_at.isoformat()} until {ends_at.isoformat()} is not possible: it ends after its "
            f"start, and within {LONGEST.days} days of it; make a new one when that has ended"
        )
