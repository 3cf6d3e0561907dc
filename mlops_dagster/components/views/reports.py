"""The note on a report that was made late or again, which names the newest report."""

from collections.abc import Collection
from urllib.parse import urlsplit

import dagster as dg

from mlops_dagster.components.views.tables import Metadata
from mlops_dagster.dagster_pages import asset_page
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


def not_the_newest(context: dg.AssetExecutionContext, stores: Stores, spec: ModelSpec, last: str) -> Metadata:
    """Return a note for a report if a newer one exists already; `last` is the last partition of the run.

    Dagster's Overview of an asset shows the report that was made last: after catching up that is an old hour, and after
    late labels an old day.
    """
    key, partitions = context.asset_key, context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    following = partitions.get_next_partition_window(partitions.time_window_for_partition_key(last).end)
    if following is None or following.end > stores.clock.now():
        return {}  # the usual run, without the query: for the hours of two years it takes 0.1 s
    newest = _newest(context.instance.get_materialized_partitions(key))
    if last >= newest:
        return {}
    within = urlsplit(stores.settings.dagster_url or "").path  # Dagster may be served below a path
    return {
        "not_the_newest": f"made late or again; the newest one is of {newest}",
        "newest": dg.MetadataValue.url(asset_page(within, spec.model, key.path[-1], newest)),
    }


def _newest(partitions: Collection[str]) -> str:
    """Return the newest of the partitions: keys of hours and days sort by time."""
    return max(partitions, default="")
