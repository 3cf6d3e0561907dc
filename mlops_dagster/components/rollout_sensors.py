"""The sensors that look at a rollout: one for what must not wait, and one for everything else."""

import dagster as dg

from mlops_dagster.components.deployed import materialization
from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Decision, Outcome
from mlops_dagster.rollout.approval import waits_for_approval
from mlops_dagster.rollout.champion_limit import tell_champion_limit
from mlops_dagster.wiring import House

LIMITS_SECONDS = 10
STEPS_SECONDS = 30


class Promotion(AsOf):
    """Make `version` champion: because a decision of the rollout says so, or by hand."""

    version: str
    reason: str
    decision: int = 0


class Rollback(AsOf):
    """Take the challenger out as decided; by hand, go back to the champion before, or `to` a version.

    By hand, `bad` names the champion that is to go: a second run of the same then changes nothing.
    """

    reason: str
    decision: int = 0
    to: str = ""
    bad: str = ""


def limits_sensor(spec: ModelSpec, rollback: dg.JobDefinition) -> dg.SensorDefinition:
    """`limits`: reads the running rollout and its counts, and nothing else."""

    @dg.sensor(
        name=f"{spec.prefix}_limits",
        job=rollback,
        minimum_interval_seconds=LIMITS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the rollback as soon as the evidence proves the challenger bad, or once the fuse has "
        "cut it off. Does nothing else.",
    )
    def limits(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        controller = platform.stores(platform.clock().now()).controller(lambda _model: spec.rollout)
        decision = controller.check_limits(spec.model)
        if decision is None:
            return dg.SkipReason("nothing is proven against a challenger")
        return _rollback(context, spec, rollback, decision)

    return limits


def rollout_sensor(spec: ModelSpec, promote: dg.JobDefinition, rollback: dg.JobDefinition) -> dg.SensorDefinition:
    """`rollout`: starts rollouts and brings them on; a rollback too, if it is the first to see that."""

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
        house = platform.house(spec, platform.clock().now())
        if house.champion(spec.model) is None:
            return _first_promotion(spec, house, promote)
        controller = house.controller(lambda _model: spec.rollout)
        decision = controller.assess(spec.model)
        tell_champion_limit(house.alerts, spec.model, decision)
        if decision is None:
            return dg.SkipReason("no challenger")
        if decision.outcome is Outcome.PROMOTE:
            return _promotion(spec, promote, decision)
        if decision.outcome is Outcome.ROLLBACK:
            return _rollback(context, spec, rollback, decision)
        controller.enact(decision)
        said = dg.SkipReason(f"{decision.outcome}: {decision.reason}")
        if decision.outcome is Outcome.HOLD:
            return said
        deployed = house.registry.deployment(spec.model)
        step = materialization(spec, decision.outcome.value, decision.reason, deployed, decision)
        return dg.SensorResult(skip_reason=said, asset_events=[step])

    return rollout


def _first_promotion(spec: ModelSpec, house: House, promote: dg.JobDefinition) -> dg.RunRequest | dg.SkipReason:
    """Without a champion there is nothing to compare with: the newest version is promoted if the gates let it."""
    versions = [version for version in house.versions(spec.model) if version.stage is Stage.REGISTERED]
    if not versions:
        return dg.SkipReason(f"no version of {spec.model} yet; the job {spec.prefix}_retrain makes one")
    newest, reason = max(versions, key=lambda version: version.created_at), "the first version: no champion yet"
    if waits_for_approval(house.registry, newest, reason):
        return dg.SkipReason(f"{newest.version} waits for approval: {', '.join(spec.gates.approvers)}")
    config = Promotion(version=newest.version, reason=reason, as_of=house.clock.now().isoformat())
    return _request(promote, f"{spec.prefix}_promotion", config, f"first-{newest.version}-{newest.digest[:8]}")


def _promotion(spec: ModelSpec, job: dg.JobDefinition, decision: Decision) -> dg.RunRequest:
    config = Promotion(
        version=decision.rollout.challenger,
        reason=decision.reason,
        decision=decision.id,
        as_of=decision.at.isoformat(),
    )
    return _request(job, f"{spec.prefix}_promotion", config, _key(decision))


def _rollback(
    context: dg.SensorEvaluationContext, spec: ModelSpec, job: dg.JobDefinition, decision: Decision
) -> dg.RunRequest | dg.SkipReason:
    key = _key(decision)
    # Dagster tells run keys apart by sensor, and two of ours may come upon the same decision.
    if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, tags={"dagster/run_key": key})):
        return dg.SkipReason(f"{decision.outcome} under way: {decision.reason}")
    config = Rollback(reason=decision.reason, decision=decision.id, as_of=decision.at.isoformat())
    return _request(job, f"{spec.prefix}_withdrawal", config, key)


def _key(decision: Decision) -> str:
    return f"decision-{decision.id}"


def _request(job: dg.JobDefinition, op: str, config: dg.Config, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, job_name=job.name, run_config=dg.RunConfig(ops={op: config}))
