"""What a rehearsal plays."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True)
class BadRelease:
    """A version whose training data had `feature` in other units than the traffic has (minutes taken for hours)."""

    at: datetime
    feature: str
    factor: float


@dataclass(frozen=True)
class Scenario:
    """The recorded traffic of one model, and what goes wrong meanwhile.

    The first version is trained as of `start`. Traffic runs over [start, until); labels and whatever follows from
    them are waited for after that.

    >>> Scenario(until=datetime(2013, 3, 3, tzinfo=UTC), bad_release=None).days
    2.0
    """

    model: str = "flights-delay"
    trainer: str = "mlops_dagster.defs.flights_delay.flights"
    start: datetime = datetime(2013, 3, 1, tzinfo=UTC)
    until: datetime = datetime(2013, 5, 11, tzinfo=UTC)
    bad_release: BadRelease | None = BadRelease(datetime(2013, 4, 3, 12, tzinfo=UTC), "dep_delay", 1 / 60)

    def __post_init__(self) -> None:
        for name, time in (("start", self.start), ("until", self.until)):
            if time.tzinfo is None or time.minute or time.second or time.microsecond:
                raise ValueError(f"{name} must be a full hour with a time zone, not {time.isoformat()}")
        if self.until <= self.start:
            raise ValueError(f"until ({self.until.isoformat()}) must come after start ({self.start.isoformat()})")

    @property
    def days(self) -> float:
        return (self.until - self.start) / timedelta(days=1)

    @property
    def reported(self) -> tuple[date, date]:
        """First day of the reports and the day after the last: the first and the last week are whole."""
        first = self.start - timedelta(days=self.start.weekday())
        return first.date(), (self.until + timedelta(days=7)).date()

    @property
    def prefix(self) -> str:
        """The model's name as Dagster's keys and jobs have it."""
        return self.model.replace("-", "_")
