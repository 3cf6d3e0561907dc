"""The numbers of all models that each look needs, in a few queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.loop.watching.increments import hour_of
from mlops_dagster.predictions import (
    FailuresByHour,
    LatencySummary,
    Rollups,
    ServedBy,
    failures_by_hour,
    latency_by_version,
    requests_by_model,
)

HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(weeks=1)
LATENCY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The numbers of all models at one look."""

    since: datetime
    """The hour from which on requests are counted in `failures`."""
    failures: Mapping[ServedBy, FailuresByHour]
    latency: Mapping[ServedBy, LatencySummary]
    """Of the last ten minutes."""
    requests: Mapping[str, int]
    """Requests of the last hour, by model."""
    requests_last_week: Mapping[str, int]
    """Requests of the same hour a week before."""


def fleet_at(rollups: Rollups, now: datetime) -> Fleet:
    """Return the numbers at `now`. Raises StorageError."""
    since = counted_since(now)
    return Fleet(
        since=since,
        failures=failures_by_hour(rollups, since, now),
        latency=latency_by_version(rollups, now - LATENCY, now),
        requests=requests_by_model(rollups, now - HOUR, now),
        requests_last_week=requests_by_model(rollups, now - WEEK - HOUR, now - WEEK),
    )


def counted_since(through: datetime) -> datetime:
    """Return the first hour whose failed requests may still be counted after a look at `through`."""
    return hour_of(through) - HOUR
