"""What reports said, for those that act on them: an old one that is made again is no news."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.partitions import complete

FORGOTTEN_AFTER = timedelta(days=3)
"""What an older report says about the champion is no reason to do anything now."""

_AT_ONCE = 1_000


def reports(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The partition and the metadata of each materialization of these partitions, the last made first."""
    if not partitions:
        return
    chosen = dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions)
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(chosen, limit=_AT_ONCE, cursor=cursor)
        for record in page.records:
            made = record.asset_materialization
            if made is not None and record.partition_key is not None:
                yield record.partition_key, {name: value.value for name, value in made.metadata.items()}
        cursor, more = page.cursor, page.has_more


def latest_report(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: dg.TimeWindowPartitionsDefinition, now: datetime
) -> Mapping[str, object] | None:
    """Metadata of the newest partition of a report, as it was last made; None if none is of the last days."""
    recent = complete(partitions, now - FORGOTTEN_AFTER, now)
    # Of several of one partition, max keeps the first: the last made.
    made = max(reports(instance, key, recent), key=lambda report: recent.index(report[0]), default=None)
    return None if made is None else made[1]


def is_newest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> bool:
    """Whether nothing later was made so far. Keys of hours and days sort by time."""
    return partition >= max(instance.get_materialized_partitions(key), default="")
