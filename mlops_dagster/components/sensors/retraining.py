"""The sensor that starts a retraining: on drift, on bad performance, or on the cadence, whichever comes first."""

import re

import dagster as dg

from mlops_dagster.components.assets.training import TrainingRun
from mlops_dagster.components.compat import NOT_FINISHED_STATUSES
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining_failures import failed_at
from mlops_dagster.loop.consider_retraining import TrainingRuns, consider_retraining
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.retraining.signals import Numbers


def retraining_sensor(spec: ModelSpec) -> dg.SensorDefinition:
    job_name = f"{spec.prefix}_retrain"

    @dg.sensor(
        name=f"{spec.prefix}_retraining",
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the retraining job on drift, on concept drift or under the macro-F1 floor (with its "
        "cool-down), or on the cadence; within its budget, and never two at a time. "
        "It only ever makes a challenger.",
    )
    def retraining(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        now = platform.clock().now()
        found = consider_retraining(platform.stores(), spec, training_runs(context.instance, spec))
        if not found.retrain:
            return dg.SkipReason(found.reason)
        config = TrainingRun(
            as_of=now.isoformat(), trigger=found.trigger or "", reason=found.reason, numbers=dict(found.numbers)
        )
        # One try a day: a failed training run is not repeated at every tick.
        return dg.RunRequest(
            run_key=f"retrain-{now:%Y-%m-%d}",
            run_config=dg.RunConfig(ops={f"{spec.prefix}__training_set": config}),
            tags={"mlops/trigger": found.trigger or "", "mlops/reason": found.reason, **_tags(found.numbers)},
        )

    return retraining


def training_runs(instance: dg.DagsterInstance, spec: ModelSpec) -> TrainingRuns:
    """Return the retraining runs of a model that Dagster knows of."""
    return TrainingRuns(failed_at=failed_at(instance, spec), running=_is_running(instance, spec))


def _is_running(instance: dg.DagsterInstance, spec: ModelSpec) -> bool:
    """Return whether a retraining runs or is queued, by its job or, from the asset graph, in a run without a name."""
    job_name, made = f"{spec.prefix}_retrain", key_of(spec, "registered_version")
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return any(run.job_name == job_name or made in (run.asset_selection or ()) for run in unfinished)


def _tags(numbers: Numbers) -> dict[str, str]:
    """Return the trigger's numbers as the run list shows them, under names that Dagster allows in tags."""
    return {f"mlops/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:50]}": value for name, value in numbers.items()}
