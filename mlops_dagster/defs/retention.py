"""The job that removes what is old, of all models and of Dagster's own history, and its schedule."""

from datetime import timedelta

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.defs.old_runs import delete_old_runs
from mlops_dagster.loop.retention.apply import apply_retention
from mlops_dagster.loop.shown.fleet import JOBS, OPS


@dg.op(description=OPS["old_records"])
def old_records(context: dg.OpExecutionContext, platform: Platform) -> None:
    found = apply_retention(platform.stores())
    for kind, (models, removed) in found.totals.items():
        context.log.info(f"{kind}: {removed:,} went, of {models} models")
    found.check()


@dg.op(description=OPS["old_runs"])
def old_runs(context: dg.OpExecutionContext, platform: Platform) -> None:
    stores = platform.stores()
    now = stores.clock.now()
    deleted = delete_old_runs(context.instance, now - timedelta(days=stores.settings.run_days))
    stores.retention.note(now, stores.actor, {"runs": (0, deleted)})
    context.log.info(f"{deleted:,} runs of Dagster went")


@dg.job(name="retention", description=JOBS["retention"])
def retention() -> None:
    old_records()
    old_runs()


@dg.schedule(
    name="retention_schedule",
    job=retention,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes what is old once a day, but for replayed traffic.",
)
def retention_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    stores = platform.stores()
    stores.beats.beat("schedule:retention_schedule", timedelta(days=1))
    if stores.settings.accept_event_time:
        return dg.SkipReason("MLOPS_ACCEPT_EVENT_TIME is set: replayed traffic has another present")
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")
