"""The sensors of a rollout: one for proof against a challenger, which must not wait, and one for everything else."""

import dagster as dg

from mlops_dagster.components.assets.deployment_record import materializations
from mlops_dagster.components.jobs.rollout_runs import Promotion, Rollback, request
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.sensors.first_champion import first_promotion
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.rollout import Decision, Outcome
from mlops_dagster.rollout.actions.first_champion import tell_chosen
from mlops_dagster.rollout.alerts.champion_limit import tell_champion_limit
from mlops_dagster.rollout.alerts.known_bad import tell_known_bad
from mlops_dagster.rollout.alerts.watch import tell_watch
from mlops_dagster.rollout.kept_policy import kept_policy

LIMITS_SECONDS = 10
STEPS_SECONDS = 30


def limits_sensor(spec: ModelSpec, rollback: dg.JobDefinition) -> dg.SensorDefinition:
    """Return the sensor `limits`, which reads the running rollout and its counts, and nothing else."""

    @dg.sensor(
        name=f"{spec.prefix}_limits",
        job=rollback,
        minimum_interval_seconds=LIMITS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the rollback as soon as the evidence proves the challenger bad, or once the fuse has "
        "cut it off. Does nothing else.",
    )
    def limits(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        controller = platform.stores().controller(lambda _model: spec.rollout)
        decision = controller.check_limits(spec.model)
        if decision is None:
            return dg.SkipReason("nothing is proven against a challenger")
        return _rollback(context, spec, rollback, decision)

    return limits


def rollout_sensor(spec: ModelSpec, promote: dg.JobDefinition, rollback: dg.JobDefinition) -> dg.SensorDefinition:
    """Return the sensor `rollout`, which starts and advances rollouts, and rolls back if it finds a proof first."""

    @dg.sensor(
        name=f"{spec.prefix}_rollout",
        jobs=[promote, rollback],
        minimum_interval_seconds=STEPS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the evidence and decides: advance, hold, promote, roll back or give up. "
        "Promotions and rollbacks are runs; smaller steps are done at once.",
    )
    def rollout(
        context: dg.SensorEvaluationContext, platform: Platform
    ) -> dg.RunRequest | dg.SkipReason | dg.SensorResult:
        stores = platform.stores()
        publish_policies(stores, spec, context)
        champion = stores.champion(spec.model)
        if champion is None:
            return first_promotion(spec, stores, promote)
        tell_chosen(stores.alerts, spec.model, champion.version)
        tell_known_bad(stores.registry, stores.alerts, spec.model)
        controller = stores.controller(lambda _model: spec.rollout)
        decision = controller.assess(spec.model)
        tell_champion_limit(stores.alerts, spec.model, decision)
        tell_watch(stores.alerts, spec.model, decision)
        if decision is None:
            return dg.SkipReason("no challenger")
        if decision.outcome is Outcome.PROMOTE:
            return _promotion(spec, promote, decision)
        if decision.outcome is Outcome.ROLLBACK:
            return _rollback(context, spec, rollback, decision)
        controller.enact(decision)
        kept = kept_policy(decision.rollout, spec.rollout)
        said = dg.SkipReason("; ".join(filter(None, (f"{decision.outcome}: {decision.reason}", kept))))
        if decision.outcome is Outcome.HOLD:
            return said
        deployed = stores.registry.deployment(spec.model)
        steps = materializations(context.instance, spec, decision.outcome.value, decision.reason, deployed, decision)
        return dg.SensorResult(skip_reason=said, asset_events=steps)

    return rollout


def _promotion(spec: ModelSpec, job: dg.JobDefinition, decision: Decision) -> dg.RunRequest:
    config = Promotion(version=decision.rollout.challenger, reason=decision.reason, decision=decision.id)
    return request(job, f"{spec.prefix}_promotion", config, _key(decision))


def _rollback(
    context: dg.SensorEvaluationContext, spec: ModelSpec, job: dg.JobDefinition, decision: Decision
) -> dg.RunRequest | dg.SkipReason:
    key = _key(decision)
    # Dagster's run keys are unique for one sensor only, and two of our sensors may find the same decision.
    if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, tags={"dagster/run_key": key})):
        return dg.SkipReason(f"{decision.outcome} under way: {decision.reason}")
    config = Rollback(reason=decision.reason, decision=decision.id)
    return request(job, f"{spec.prefix}_withdrawal", config, key)


def _key(decision: Decision) -> str:
    return f"decision-{decision.id}"
