"""The sensor that starts a retraining: on drift, on bad performance, or on the cadence, whichever comes first."""

import re
from datetime import datetime

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES  # no public name

from mlops_dagster.clock import parse_time
from mlops_dagster.components.assets.training import TrainingRun
from mlops_dagster.components.checks.concept_drift import latest_concept
from mlops_dagster.components.checks.macro_f1_floor import reason_to_retrain
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining_failures import failed_at
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.loop.findings import DRIFT, FORGOTTEN_AFTER
from mlops_dagster.registry import ModelVersion
from mlops_dagster.retraining.policy import RetrainDecision, should_retrain
from mlops_dagster.retraining.signals import ConceptSignal, DriftSignal, Numbers
from mlops_dagster.stores import Stores


def retraining_sensor(spec: ModelSpec) -> dg.SensorDefinition:
    job_name = f"{spec.prefix}_retrain"

    @dg.sensor(
        name=f"{spec.prefix}_retraining",
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the retraining job on drift, on concept drift or under the macro-F1 floor (with its "
        "cool-down), or on the cadence; within its budget, and never two at a time. "
        "What comes out is only ever a challenger.",
    )
    def retraining(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        now = platform.clock().now()
        stores = platform.stores()
        champion = stores.champion(spec.model)
        if champion is None:
            return dg.SkipReason("no champion yet")
        concept = latest_concept(stores, spec.model, champion.version, now)
        found = consider(stores, spec, champion.version, context.instance, now, concept)
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


def consider(
    stores: Stores,
    spec: ModelSpec,
    champion: str,
    instance: dg.DagsterInstance,
    now: datetime,
    concept: ConceptSignal | None,
) -> RetrainDecision:
    """Return whether to retrain now, by the latest reports and the trainings so far."""
    return should_retrain(
        spec.retraining,
        now=now,
        retrained_at=[_trained_at(each) for each in stores.versions(spec.model) if "dagster_run" in each.lineage],
        failed_at=failed_at(instance, spec),
        running=_is_running(instance, spec),
        drift=_latest_drift(stores, spec.model, champion, now),
        rollout_active=stores.rollouts.active(spec.model) is not None,
        performance=reason_to_retrain(stores, spec, champion, now),
        concept=concept,
    )


def _trained_at(version: ModelVersion) -> datetime:
    """Return the time as of which the version was trained: a repeat of last month's training ignores today's drift."""
    as_of = version.lineage.get("as_of")
    return version.created_at if as_of is None else parse_time(as_of)


def what_follows(stores: Stores, spec: ModelSpec, champion: str, instance: dg.DagsterInstance, now: datetime) -> str:
    """Return the action on proven concept drift, for the alert: that a retraining starts, or why it waits."""
    if not spec.retraining.on_concept_drift:
        return ""
    found = consider(stores, spec, champion, instance, now, ConceptSignal(drifted=True, reason="concept drift"))
    return "a retraining was asked for" if found.retrain else found.reason


def _is_running(instance: dg.DagsterInstance, spec: ModelSpec) -> bool:
    """Return whether a retraining runs or is queued, by its job or, from the asset graph, in a run without a name."""
    job_name, made = f"{spec.prefix}_retrain", spec.key("registered_version")
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return any(run.job_name == job_name or made in (run.asset_selection or ()) for run in unfinished)


def _tags(numbers: Numbers) -> dict[str, str]:
    """Return the trigger's numbers as the run list shows them, under names that Dagster allows in tags."""
    return {f"mlops/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:50]}": value for name, value in numbers.items()}


def _latest_drift(stores: Stores, model: str, champion: str, now: datetime) -> DriftSignal | None:
    """Return what the newest hour's report found of this champion; None if it is of another, or days old."""
    found = stores.reports.recent(DRIFT, model, now, within=FORGOTTEN_AFTER)
    if found is None or found.champion != champion or found.content.drift is None:
        return None
    return DriftSignal.of(found.content.drift)
