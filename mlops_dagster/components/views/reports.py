"""Reports of earlier runs: for sensors that act on them, and for pages that name the newest one."""

from collections.abc import Collection
from urllib.parse import urlsplit

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus  # no public name

from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.tables import Metadata
from mlops_dagster.dagster_pages import asset_page
from mlops_dagster.stores import Stores

_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


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


def as_it_stands(instance: dg.DagsterInstance, asset: dg.AssetKey, result: dg.AssetCheckResult) -> dg.AssetCheckResult:
    """Return the latest result of this check again, for a run over older partitions; `result` if there is none.

    Dagster shows the last evaluation of a check: a new report on an old day would hide the result of the newest day.
    """
    assert result.check_name is not None
    latest = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(asset, result.check_name), limit=1, status=_EVALUATED
    )
    event = latest[0].event if latest else None
    if event is None:
        return result
    said = event.get_dagster_event().asset_check_evaluation_data
    return dg.AssetCheckResult(
        check_name=said.check_name,
        passed=said.passed,
        severity=said.severity,
        description=said.description,
        metadata=said.metadata,
    )


def _newest(partitions: Collection[str]) -> str:
    """Return the newest of the partitions: keys of hours and days sort by time."""
    return max(partitions, default="")
