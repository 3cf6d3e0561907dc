"""The sensor that reports failed retraining runs of all models that could not report themselves: most were killed."""

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.components.sensors.retraining_failures import run_failed


@dg.run_failure_sensor(
    name="retraining_killed",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens the alert `retraining_failed` for a retraining run whose process was killed (out of memory, a "
    "machine that went away) or hung, or that failed without telling so itself. The daemon launches one that was "
    "killed again, as often as the model's `retries` say.",
)
def retraining_killed(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    run_failed(context, platform)
