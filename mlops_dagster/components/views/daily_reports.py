"""Daily reports as they were in force at an earlier time, without revisions that were made later."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from mlops_dagster.clock import parse_time
from mlops_dagster.components.partitions import complete, daily
from mlops_dagster.components.views.reports import FORGOTTEN_AFTER

MADE_AT = "made_at"
"""The metadata key for the time at which a daily report was made."""

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class DailyReport:
    """One revision of a daily report; a day has a revision for each time that its report was made."""

    day: date
    made_at: datetime
    said: Mapping[str, object]


def daily_reports(
    instance: dg.DagsterInstance, key: dg.AssetKey, since: datetime, until: datetime
) -> Iterator[DailyReport]:
    """Yield every report that may have been in force at a time from `since` to `until`, those made last first."""
    days = complete(daily(), since - FORGOTTEN_AFTER, until)
    chosen, cursor, more = dg.AssetRecordsFilter(asset_key=key, asset_partitions=days), None, bool(days)
    while more:
        page = instance.fetch_materializations(chosen, limit=_AT_ONCE, cursor=cursor)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            report = record.asset_materialization
            if report is not None and record.partition_key is not None and MADE_AT in report.metadata:
                said = {name: value.value for name, value in report.metadata.items()}
                yield DailyReport(date.fromisoformat(record.partition_key), parse_time(str(said[MADE_AT])), said)


def in_force(reports: Iterable[DailyReport], at: datetime) -> Mapping[str, object] | None:
    """Return the metadata of the report that was the newest at `at`; None if there was none, or it was days old.

    It is the last revision, made by `at`, of the last day with a report by then: later revisions are left out.
    """
    oldest = at - FORGOTTEN_AFTER
    known = [each for each in reports if each.made_at <= at and oldest < _over(each.day) <= at]
    return max(known, key=lambda each: (each.day, each.made_at)).said if known else None


def _over(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=1)
