"""The fleet's reports: a job and a schedule over all models for each cadence. One run makes the reports of all models.

A run for each model would limit the size of a fleet: each run loads the definitions of all models.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import dagster as dg

from mlops_dagster.components.compat import UnresolvedAssetJobDefinition
from mlops_dagster.components.jobs.backfill_planner import catch_up
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, DAILY, HOURLY, MODEL, WEEKLY, Cadence
from mlops_dagster.components.platform import Platform
from mlops_dagster.links.dagster import prefix_of
from mlops_dagster.loop.fleet import look_at_each
from mlops_dagster.loop.judging.days_of_answers import changed_days
from mlops_dagster.loop.judging.findings import REPORTS
from mlops_dagster.loop.judging.missing_reports import Reported
from mlops_dagster.loop.shown.fleet import JOBS, SCHEDULES
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


def reports_defs(specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Define the jobs `hourly_monitoring`, `daily_performance` and `weekly_label_drift`, and their schedules."""
    return dg.Definitions.merge(*(_reports(cadence, specs) for cadence in (HOURLY, DAILY, WEEKLY)))


def _reports(cadence: Cadence, specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Define a job over all assets of a cadence, and its schedule, which catches up."""
    name = cadence.job
    job: UnresolvedAssetJobDefinition = dg.define_asset_job(
        name, selection=dg.AssetSelection.tag(CADENCE, name), description=JOBS[name]
    )

    @dg.schedule(
        cadence.cron,
        name=f"{name}_schedule",
        job_name=name,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=SCHEDULES[name],
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> list[dg.RunRequest] | dg.SkipReason:
        stores = platform.stores()
        stores.beats.beat(f"schedule:{name}_schedule", cadence.every)
        again = _changed(stores, specs, context.scheduled_execution_time) if cadence is DAILY else {}
        return catch_up(context, stores, _assets(context, stores, name), cadence, again)

    return dg.Definitions(jobs=[job], schedules=[schedule])


def _changed(stores: Stores, specs: Sequence[ModelSpec], now: datetime) -> Mapping[dg.AssetKey, Collection[str]]:
    """Return the days of each model whose labels have changed since their report."""
    looks = look_at_each(specs, lambda spec: changed_days(stores, spec, now))
    keys, fmt = {spec.model: key_of(spec, "performance_report") for spec in specs}, DAILY.partitions().fmt
    return {keys[model]: {f"{day:{fmt}}" for day in days} for model, days in looks.found.items()}


def _assets(context: dg.ScheduleEvaluationContext, stores: Stores, job_name: str) -> dict[dg.AssetKey, Reported]:
    """Return the assets of a job with their reports.

    A tagged asset that a team has added belongs to the registered model whose name begins its key.
    """
    assert context.repository_def is not None
    assets = context.repository_def.get_job(job_name).asset_layer
    registered = {prefix_of(model): model for model in stores.registry.models()}
    found = {}
    for key in assets.executable_asset_keys:
        model = assets.get(key).metadata.get(MODEL)
        kind = None if model is None else REPORTS.get(key.path[-1])
        found[key] = Reported(model or registered.get(key.path[0], ""), kind)
    return found
