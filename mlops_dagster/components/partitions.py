"""Hours, days and weeks, shared by all models so that one run can cover a fleet; and catching up over them."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import cache

import dagster as dg

from mlops_dagster.settings import Settings

HOURLY = {"mlops/cadence": "hourly"}
"""The tag by which the fleet's hourly job finds the assets of all models."""

LONGEST_CATCH_UP = timedelta(days=31)
"""One run covers at most this; a longer gap takes several ticks, or a backfill by hand."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


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
    """Weeks from Monday to Monday."""
    first, end = _days()
    return dg.WeeklyPartitionsDefinition(start_date=first, end_date=end, day_offset=1)


def due_every(period: timedelta) -> dg.FreshnessPolicy | None:
    """Warns when one scheduled run is missing, fails when two are. None of recorded traffic: it ends.

    >>> due_every(timedelta(hours=1)).fail_window.to_timedelta() == timedelta(hours=2.5)
    True
    """
    if Settings().until is not None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=2.5 * period, warn_window=1.5 * period)


def _days() -> tuple[str, str | None]:
    settings = Settings()
    return settings.since.isoformat(), None if settings.until is None else settings.until.isoformat()


def windows(context: dg.AssetExecutionContext) -> list[tuple[str, datetime, datetime]]:
    """Key, start and end of every partition of this run, in order of time."""
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    found = [(key, partitions.time_window_for_partition_key(key)) for key in context.partition_keys]
    return [(key, window.start, window.end) for key, window in found]


def missing_range(
    context: dg.ScheduleEvaluationContext,
    keys: Iterable[dg.AssetKey],
    partitions: dg.TimeWindowPartitionsDefinition,
    *,
    first: datetime | None,
    job_name: str,
    again: Collection[str] = (),
) -> dg.RunRequest | dg.SkipReason:
    """One run over all complete partitions since `first` that any of the assets lacks, holes included.

    Those named in `again` are made once more, with all that follow: the last report is always of the last partition.
    `first` is the time of the earliest prediction; without one there is nothing to look at.
    """
    now = context.scheduled_execution_time
    if first is None:
        return dg.SkipReason("no predictions yet")
    wanted = _complete(partitions, max(first, now - LONGEST_CATCH_UP), now)
    present = set.intersection(*(context.instance.get_materialized_partitions(key) for key in keys))
    missing = [key for key in wanted if key not in present or key in again]
    if not missing:
        return dg.SkipReason("nothing is missing")
    start, end = missing[0], wanted[-1] if again else missing[-1]
    run_key = f"{job_name}:{start}:{end}" + (f":{now:%Y-%m-%dT%H:%M}" if again else "")
    return dg.RunRequest(run_key=run_key, job_name=job_name, tags={RANGE_START: start, RANGE_END: end})


def _complete(partitions: dg.TimeWindowPartitionsDefinition, since: datetime, until: datetime) -> list[str]:
    """Partitions that hold some of the time after `since` and are over by `until`."""
    longest = timedelta(days=7)
    keys = partitions.get_partition_keys_in_time_window(dg.TimeWindow(since - longest, until))
    ends = {key: partitions.time_window_for_partition_key(key).end for key in keys}
    return [key for key in keys if since < ends[key] <= until]
