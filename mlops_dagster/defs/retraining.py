"""Telling of retraining runs that were killed, of all models: they cannot tell themselves."""

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.components.retraining_failures import run_died


@dg.run_failure_sensor(
    name="retraining_killed",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens the alert `retraining_failed` for a retraining run whose process was killed (out of memory, a "
    "machine that went away) or hung. The daemon launches it again, as often as the model's `retries` say.",
)
def retraining_killed(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    run_died(context, platform)
