"""The hourly job over all models: one run for the fleet, since a run per model would limit its size."""

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.components.jobs.backfill_planner import Reported, catch_up
from mlops_dagster.components.keys import REPORTS
from mlops_dagster.components.partitions import HOURLY, MODEL, hourly
from mlops_dagster.dagster_pages import prefix_of

((_TAG, _VALUE),) = HOURLY.items()

hourly_monitoring = dg.define_asset_job(
    "hourly_monitoring",
    selection=dg.AssetSelection.tag(_TAG, _VALUE),
    description="The rows that every model served in an hour, validated, and their drift. Ranges of hours are one run.",
)


@dg.schedule(
    "5 * * * *",
    name="hourly_monitoring_schedule",
    job_name="hourly_monitoring",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests the hours that are missing, of the models that lack them: the newest in one run, then older.",
)
def hourly_monitoring_schedule(
    context: dg.ScheduleEvaluationContext, platform: Platform
) -> list[dg.RunRequest] | dg.SkipReason:
    assert context.repository_def is not None
    job = context.repository_def.get_job("hourly_monitoring")
    stores = platform.stores()
    assets = job.asset_layer
    # A tagged asset that a team has added belongs to the registered model whose name begins its key.
    registered = {prefix_of(model): model for model in stores.registry.models()}
    found: dict[dg.AssetKey, Reported] = {}
    for key in assets.executable_asset_keys:
        model = assets.get(key).metadata.get(MODEL)
        kind = None if model is None else REPORTS.get(key.path[-1])
        found[key] = Reported(model or registered.get(key.path[0], ""), kind)
    return catch_up(context, stores, found, hourly(), job_name="hourly_monitoring")
