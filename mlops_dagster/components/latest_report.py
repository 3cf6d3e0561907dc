"""What the newest report says, for the sensors that act on it: an old one that is made again is no news."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.partitions import complete

FORGOTTEN_AFTER = timedelta(days=3)
"""What an older report says about the champion is no reason to do anything now."""

_AT_ONCE = 1_000


def latest_report(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: dg.TimeWindowPartitionsDefinition, now: datetime
) -> Mapping[str, object] | None:
    """Metadata of the newest partition of a report, as it was last made; None if none is of the last days."""
    recent = complete(partitions, now - FORGOTTEN_AFTER, now)
    if not recent:
        return None
    chosen = dg.AssetRecordsFilter(asset_key=key, asset_partitions=recent)
    records = instance.fetch_materializations(chosen, limit=_AT_ONCE).records
    newest = max(
        records, key=lambda record: (recent.index(record.partition_key or ""), record.storage_id), default=None
    )
    if newest is None or newest.asset_materialization is None:
        return None
    return {name: value.value for name, value in newest.asset_materialization.metadata.items()}


def is_newest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> bool:
    """Whether nothing later was made so far. Keys of hours and days sort by time."""
    return partition >= max(instance.get_materialized_partitions(key), default="")
