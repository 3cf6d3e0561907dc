"""The hourly job over all models: one run for the fleet, since a run per model would cap its size."""

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.components.partitions import HOURLY, hourly, missing_range

((_TAG, _VALUE),) = HOURLY.items()

hourly_monitoring = dg.define_asset_job(
    "hourly_monitoring",
    selection=dg.AssetSelection.tag(_TAG, _VALUE),
    partitions_def=hourly(),
    description="What every model served in an hour, validated, and how far it drifted. Ranges of hours are one run.",
)


@dg.schedule(
    "5 * * * *",
    name="hourly_monitoring_schedule",
    job_name="hourly_monitoring",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests whatever hours are missing, in one run.",
)
def hourly_monitoring_schedule(
    context: dg.ScheduleEvaluationContext, platform: Platform
) -> dg.RunRequest | dg.SkipReason:
    assert context.repository_def is not None
    job = context.repository_def.get_job("hourly_monitoring")
    keys = sorted(job.asset_layer.executable_asset_keys, key=str)
    house = platform.stores()
    firsts = [first for model in house.registry.models() if (first := house.rollups.first_at(model))]
    return missing_range(context, keys, hourly(), first=min(firsts, default=None), job_name="hourly_monitoring")
