"""Partitions by hour, day and week, shared by all models so that one run can cover a fleet."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import dagster as dg

from mlops_dagster.errors import InvalidDefinitionError
from mlops_dagster.settings import Settings

CADENCE = "mlops/cadence"
"""The tag by which a job over all models finds its assets: the name of the job."""

MODEL = "mlops/model"
"""The metadata key with an asset's model: an asset key has the model's name only as Dagster allows it."""

STAGE = "mlops/stage"
"""The tag with the stage of a model's life that an asset belongs to; the group of an asset is its model."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


_project: list[date] = []
"""The first day that the project of this process names, if it names one."""


@cache
def hourly() -> dg.HourlyPartitionsDefinition:
    first, end = _days()
    return dg.HourlyPartitionsDefinition(start_date=f"{first}-00:00", end_date=end and f"{end}-00:00")


@cache
def daily() -> dg.DailyPartitionsDefinition:
    first, end = _days()
    return dg.DailyPartitionsDefinition(start_date=first, end_date=end)


@cache
def weekly() -> dg.WeeklyPartitionsDefinition:
    """Return partitions of weeks, from Monday to Monday."""
    first, end = _days()
    return dg.WeeklyPartitionsDefinition(start_date=first, end_date=end, day_offset=1)


@dataclass(frozen=True, slots=True)
class Cadence:
    """A rhythm in which the reports of all models are made: the fleet's job for them, its periods, its schedule."""

    job: str
    partitions: Callable[[], dg.TimeWindowPartitionsDefinition]
    every: timedelta
    cron: str


HOURLY = Cadence("hourly_monitoring", hourly, timedelta(hours=1), "5 * * * *")
DAILY = Cadence("daily_performance", daily, timedelta(days=1), "0 12 * * *")
"""At noon: by then the labels of the previous day are known."""
WEEKLY = Cadence("weekly_label_drift", weekly, timedelta(weeks=1), "0 13 * * 1")


def begin_on(day: date) -> None:
    """Let hours, days and weeks begin on the first day that a project names, unless a setting names another."""
    _project[:] = [day]
    begin_anew()


def begin_anew() -> None:
    """Let hours, days and weeks be those of the settings as they are now."""
    for partitions in (hourly, daily, weekly):
        partitions.cache_clear()


def due_every(period: timedelta) -> dg.FreshnessPolicy | None:
    """Return a policy that warns when one scheduled run is missing and fails when two are; None for recorded traffic.

    >>> due_every(timedelta(hours=1)).fail_window.to_timedelta() == timedelta(hours=2.5)
    True
    """
    if hourly().end is not None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=2.5 * period, warn_window=1.5 * period)


def _days() -> tuple[str, str | None]:
    settings = Settings()
    first = settings.partitions_start or next(iter(_project), None)
    if first is None:
        raise InvalidDefinitionError(
            "the first day of the hours, days and weeks is not set; name the first day with traffic where the project "
            "is loaded, `load_from_defs_folder(..., since=date(2026, 1, 31))` in definitions.py, or as "
            "MLOPS_PARTITIONS_START"
        )
    return first.isoformat(), None if settings.partitions_end is None else settings.partitions_end.isoformat()


def starts_of(context: dg.AssetExecutionContext) -> dict[str, datetime]:
    """Return the key and the start of every partition of this run, in order of time."""
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    return {key: partitions.time_window_for_partition_key(key).start for key in context.partition_keys}


def complete(partitions: dg.TimeWindowPartitionsDefinition, since: datetime, until: datetime) -> list[str]:
    """Return the defined partitions that hold some of the time after `since` and are over by `until`.

    >>> from datetime import UTC
    >>> days = dg.DailyPartitionsDefinition(start_date="2013-03-01", end_date="2013-03-03")
    >>> complete(days, datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))
    ['2013-03-01', '2013-03-02']
    """
    longest = timedelta(days=7)
    begin, end = max(since - longest, partitions.start), min(until, partitions.end or until)
    if begin >= end:
        return []
    keys = partitions.get_partition_keys_in_time_window(dg.TimeWindow(begin, end))
    return list(keys[over_by(partitions, keys, since) : over_by(partitions, keys, until)])


def over_by(partitions: dg.TimeWindowPartitionsDefinition, keys: Sequence[str], time: datetime) -> int:
    """Return how many of the partitions, which are in order, had ended by `time`; it looks at a few (40 us each)."""
    return bisect_right(keys, time, key=lambda key: partitions.time_window_for_partition_key(key).end)
