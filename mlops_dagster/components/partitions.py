"""Partitions by hour, day and week, shared by all models so that one run can cover a fleet."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial

import dagster as dg

from mlops_dagster.errors import InvalidDefinitionError
from mlops_dagster.reports import DAY, HOUR, WEEK
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


@dataclass(frozen=True, slots=True)
class Cadence:
    """A rhythm in which the reports of all models are made: the fleet's job for them, its periods, its schedule."""

    job: str
    kind: Callable[..., dg.TimeWindowPartitionsDefinition]
    every: timedelta
    cron: str

    @cache  # noqa: B019  # the cadences are three, and live as long as the process
    def partitions(self) -> dg.TimeWindowPartitionsDefinition:
        """Return the partitions from the first day on; raises InvalidDefinitionError without a first day."""
        settings = Settings()
        first, end = settings.partitions_start or next(iter(_project), None), settings.partitions_end
        if first is None:
            raise InvalidDefinitionError(
                "the first day of the hours, days and weeks is not set; name the first day with traffic where the "
                "project is loaded, `load_from_defs_folder(..., since=date(2026, 1, 31))` in definitions.py, or as "
                "MLOPS_PARTITIONS_START"
            )
        return self.kind(start_date=_midnight(first), end_date=None if end is None else _midnight(end))

    def freshness(self) -> dg.FreshnessPolicy | None:
        """Return a policy that warns if one scheduled run is missing and fails if two are; None for recorded traffic.

        >>> HOURLY.freshness().fail_window.to_timedelta() == timedelta(hours=2.5)
        True
        """
        if self.partitions().end is not None:
            return None
        return dg.FreshnessPolicy.time_window(fail_window=2.5 * self.every, warn_window=1.5 * self.every)


HOURLY = Cadence("hourly_monitoring", dg.HourlyPartitionsDefinition, HOUR, "5 * * * *")
DAILY = Cadence("daily_performance", dg.DailyPartitionsDefinition, DAY, "0 12 * * *")
"""At noon: by then the labels of the previous day are known."""
WEEKLY = Cadence("weekly_label_drift", partial(dg.WeeklyPartitionsDefinition, day_offset=1), WEEK, "0 13 * * 1")
"""Weeks are from Monday to Monday."""


def begin_on(day: date) -> None:
    """Let hours, days and weeks begin on the first day that a project names, unless a setting names another."""
    _project[:] = [day]
    begin_anew()


def begin_anew() -> None:
    """Let hours, days and weeks be those of the settings as they are now."""
    Cadence.partitions.cache_clear()


def windows_of(context: dg.AssetExecutionContext) -> dict[str, dg.TimeWindow]:
    """Return the key and the window of every partition of this run, in order of time."""
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    return {key: partitions.time_window_for_partition_key(key) for key in context.partition_keys}


def newest_made(context: dg.AssetExecutionContext, last: dg.TimeWindow, now: datetime) -> str:
    """Return the newest partition that the asset of this run has; empty if `last`, of this run, is the last one."""
    if last.end + (last.end - last.start) > now:
        return ""  # the usual run, without the query: for the hours of two years it takes 0.1 s
    return max(context.instance.get_materialized_partitions(context.asset_key), default="")  # keys sort by time


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
