"""The watch: the state of one rule of a model between two looks, of fixed size."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.rule import Rule


class Condition(StrEnum):
    """The state of a rule, as it is shown."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    CANNOT_TELL = "cannot_tell"


class Stretch(NamedTuple):
    """A stretch of time on one side of a limit; of a rate, with its events."""

    since: datetime
    bad: int = 0
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Latch:
    """One limit: broken or not, and the progress toward the other of the two."""

    broken: bool = False
    logs: tuple[float, ...] = ()
    """Of a proof: the evidence, as the logarithm of the statistic of each bet."""
    other_side: Stretch | None = None
    """The present stretch on the other side of the limit: over it unless it is broken, else within; None if none is."""
    broken_by: Stretch | None = None
    """The stretch over the limit that broke it; None unless it is broken."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One part of a rule (a feature; "" if the rule has one part): its number, and its two limits."""

    value: float | None = None
    """The number that is compared with the limits; of a rate, that of the shown window."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval of a rate."""
    samples: int | None = None
    over_since: datetime | None = None
    """The time since which the number has been over the warning limit; None if it is within."""
    warning: Latch = Latch()
    critical: Latch = Latch()
    recent: tuple[tuple[int, int, int], ...] = ()
    """Of a rate: (slot, bad events, trials) of the shown window, which has ten slots."""
    trials: int = 0
    """Of a rate: all trials since the watch began."""
    tolerated: float = 0.0
    """Of a rate: the rate that is tolerated anyway, above the limits or not."""
    rows_per_observation: float = 1.0
    """Of a rate: the number of trials that count as one."""
    counted_at: datetime | None = None
    """Of a rate: the last look with trials, or else the beginning."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the worst broken limit; None if neither is broken."""
        if self.critical.broken:
            return Severity.CRITICAL
        return Severity.WARNING if self.warning.broken else None


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one rule of a model after its last look."""

    model: str
    rule: Rule
    version: str | None = None
    """The version that the gauges are about; None if they are about the model, or before the first look."""
    through: datetime | None = None
    """The time of the last look; one at the same time changes nothing."""
    gauges: Mapping[str, Gauge] = field(default_factory=dict)
    said: str = ""
    kept: tuple[float, ...] = ()
    """Numbers that the next observation, or the text of the alert, needs."""
    missing: str = ""
    """The reason why the rule cannot be judged; empty if it can."""
    missing_since: datetime | None = None
    told_at: datetime | None = None
    """The last time that the open alert was written."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the alert that is open; None if none is."""
        found = {gauge.severity for gauge in self.gauges.values()}
        return next((each for each in (Severity.CRITICAL, Severity.WARNING) if each in found), None)

    @property
    def condition(self) -> Condition:
        """The state of the rule."""
        if self.missing:
            return Condition.CANNOT_TELL
        over = any(gauge.over_since is not None for gauge in self.gauges.values())
        if self.severity is not None:
            return Condition.FIRING if over else Condition.RECOVERING
        return Condition.PENDING if over else Condition.OK

    @property
    def broken(self) -> Mapping[str, Gauge]:
        """The parts whose limits are broken, the largest number first."""
        found = {name: gauge for name, gauge in self.gauges.items() if gauge.severity is not None}
        return dict(sorted(found.items(), key=lambda each: -(each[1].value or 0.0)))

    def cannot_tell(self, reason: str, now: datetime) -> Self:
        """Return the watch after a look without numbers; its severity stays."""
        return replace(self, missing=reason, missing_since=self.missing_since or now, through=now)
