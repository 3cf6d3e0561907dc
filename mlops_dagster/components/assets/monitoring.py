"""The monitoring assets of a model: validation and drift by the hour, performance by the day, labels by the week."""

from collections.abc import Callable
from datetime import datetime

import dagster as dg

from mlops_dagster.components.assets.drift_report import drift_report_asset
from mlops_dagster.components.assets.label_drift import label_drift_asset
from mlops_dagster.components.assets.performance_report import performance_report_asset
from mlops_dagster.components.assets.prediction_batch import prediction_batch_asset
from mlops_dagster.components.checks.macro_f1_floor import macro_f1_floor_sensor
from mlops_dagster.components.compat import UnresolvedAssetJobDefinition
from mlops_dagster.components.jobs.backfill_planner import Reported, catch_up
from mlops_dagster.components.keys import REPORTS, key_of
from mlops_dagster.components.partitions import daily, weekly
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining import retraining_sensor
from mlops_dagster.loop.days_of_answers import changed_days
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


def monitoring_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the groups `serving` and `monitoring`, their jobs and schedules, and the retraining and floor sensors."""
    performance = _job(
        spec, "performance", "performance_report", "Accuracy, F1, latency and errors per version, by day."
    )
    label_drift = _job(spec, "label_drift", "label_drift", "Chi-squared of a week's labels against the baseline.")
    return dg.Definitions(
        assets=[
            prediction_batch_asset(spec),
            drift_report_asset(spec),
            performance_report_asset(spec),
            label_drift_asset(spec),
        ],
        jobs=[performance, label_drift],
        schedules=[
            # Noon: by then the labels of the previous day are known.
            _schedule(spec, performance.name, "performance_report", daily(), "0 12 * * *", changed_days),
            _schedule(spec, label_drift.name, "label_drift", weekly(), "0 13 * * 1"),
        ],
        sensors=[retraining_sensor(spec), macro_f1_floor_sensor(spec)],
    )


def _job(spec: ModelSpec, name: str, asset: str, description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        f"{spec.prefix}_{name}",
        selection=dg.AssetSelection.assets(key_of(spec, asset)),
        description=description,
    )


def _schedule(
    spec: ModelSpec,
    job_name: str,
    asset: str,
    partitions: dg.TimeWindowPartitionsDefinition,
    cron: str,
    changed: Callable[[Stores, ModelSpec, datetime], set[datetime]] | None = None,
) -> dg.ScheduleDefinition:
    """Define the schedule of a report; `changed` names partitions whose data changed since they were materialized."""

    @dg.schedule(
        cron,
        name=f"{job_name}_schedule",
        job_name=job_name,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests the reports that are missing"
        + (" or whose labels have changed since" if changed is not None else "")
        + ", in one run if it can be.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> list[dg.RunRequest] | dg.SkipReason:
        stores = platform.stores()
        again = set() if changed is None else changed(stores, spec, context.scheduled_execution_time)
        assets = {key_of(spec, asset): Reported(spec.model, REPORTS[asset])}
        names = {f"{start:{partitions.fmt}}" for start in again}
        return catch_up(context, stores, assets, partitions, job_name=job_name, again=names)

    return schedule
