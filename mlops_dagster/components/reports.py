"""What reports said, for those that act on them: an old one that is made again is no news."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
    if not recent:
        return None
    # One report is read, not those of three days: of 300 features that takes 0.04 s, not 0.3 s.
    made = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(recent))
    return next((said for _, said in reports(instance, key, [_newest(made)])), None) if made else None


def is_newest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> bool:
    """Whether nothing later was made so far."""
    return partition >= _newest(instance.get_materialized_partitions(key))


def _newest(partitions: Collection[str]) -> str:
    """Keys of hours and days sort by time."""
    return max(partitions, default="")
