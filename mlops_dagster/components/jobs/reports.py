"""The fleet's reports: a job and a schedule over all models for each cadence. One run makes the reports of all models.

A run for each model would limit the size of a fleet: each run loads the definitions of all models.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import dagster as dg

from mlops_dagster.components.compat import UnresolvedAssetJobDefinition
from mlops_dagster.components.jobs.backfill_planner import Reported, catch_up
from mlops_dagster.components.keys import REPORTS, key_of
from mlops_dagster.components.partitions import CADENCE, DAILY, HOURLY, MODEL, WEEKLY, Cadence, daily
from mlops_dagster.components.platform import Platform
from mlops_dagster.dagster_pages import prefix_of
from mlops_dagster.loop.fleet import look_at_each
from mlops_dagster.loop.judging.days_of_answers import changed_days
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores

Changed = Callable[[Stores, datetime], Mapping[dg.AssetKey, Collection[str]]]
"""Returns the partitions of assets whose data have changed since they were materialized."""


def reports_defs(specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Define the jobs `hourly_monitoring`, `daily_performance` and `weekly_label_drift`, and their schedules."""

    def changed(stores: Stores, now: datetime) -> Mapping[dg.AssetKey, Collection[str]]:
        looks = look_at_each(specs, lambda spec: changed_days(stores, spec, now))
        keys = {spec.model: key_of(spec, "performance_report") for spec in specs}
        return {keys[model]: {f"{day:{daily().fmt}}" for day in days} for model, days in looks.found.items()}

    return dg.Definitions.merge(
        _reports(
            HOURLY,
            "The rows that every model served in an hour, validated, and their drift. Ranges of hours are one run.",
        ),
        _reports(
            DAILY,
            "Accuracy, F1, latency and errors of every version of every model, by day. Ranges of days are one run.",
            changed,
        ),
        _reports(
            WEEKLY,
            "Chi-squared of a week's labels against the baseline, for every model. Ranges of weeks are one run.",
        ),
    )


def _reports(cadence: Cadence, description: str, changed: Changed | None = None) -> dg.Definitions:
    """Define a job over all assets of a cadence, and its schedule, which catches up."""
    name, partitions = cadence.job, cadence.partitions()
    job: UnresolvedAssetJobDefinition = dg.define_asset_job(
        name, selection=dg.AssetSelection.tag(CADENCE, name), description=description
    )

    @dg.schedule(
        cadence.cron,
        name=f"{name}_schedule",
        job_name=name,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests the reports that are missing"
        + (" or whose labels have changed since" if changed is not None else "")
        + ", of the models that lack them: the newest in one run, then older.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> list[dg.RunRequest] | dg.SkipReason:
        stores = platform.stores()
        stores.beats.beat(f"schedule:{name}_schedule", cadence.every)
        again = {} if changed is None else changed(stores, context.scheduled_execution_time)
        return catch_up(context, stores, _assets(context, stores, name), partitions, job_name=name, again=again)

    return dg.Definitions(jobs=[job], schedules=[schedule])


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
