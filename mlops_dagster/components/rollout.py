"""Rollout: the sensor that decides, and the jobs that promote and roll back."""

from collections.abc import Mapping

import dagster as dg

from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry import Deployment, Stage
from mlops_dagster.rollout import Decision, Outcome
from mlops_dagster.rollout.approval import waits_for_approval
from mlops_dagster.wiring import House

EMERGENCY = {"dagster/priority": "100", "mlops/emergency": "true"}


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


def rollout_defs(spec: ModelSpec) -> dg.Definitions:
    """The asset `deployment`, the jobs `promote` and `rollback`, and the sensor `rollout`."""
    deployment = dg.AssetSpec(
        spec.key("deployment"),
        group_name="serving",
        kinds={"registry"},
        owners=list(spec.owners),
        deps=[spec.key("registered_version")],
        description="Who answers the requests. Materialized by each promotion, rollback and deed by hand, "
        "with reason and evidence.",
    )
    promote, rollback = _promote_job(spec), _rollback_job(spec)
    return dg.Definitions(
        assets=[deployment], jobs=[promote, rollback], sensors=[_rollout_sensor(spec, promote, rollback)]
    )


def _promote_job(spec: ModelSpec) -> dg.JobDefinition:
    @dg.op(
        name=f"{spec.prefix}_promotion", description="Checks the gates, then changes the deployment by compare-and-set."
    )
    def promotion(context: dg.OpExecutionContext, config: Promotion, platform: Platform) -> None:
        house = platform.house(spec, config.time(platform))
        decision = _enact(house, spec, config.decision) if config.decision else None
        if decision is None:
            version = house.registry.get(spec.model, config.version)
            house.registry.transition(version, Stage.PRODUCTION, reason=config.reason)
        deployed = house.registry.deployment(spec.model)
        context.log_event(materialization(spec, "promotion", config.reason, deployed, decision))

    @dg.job(
        name=f"{spec.prefix}_promote",
        description=f"Make a version of {spec.model} champion. Refused if its card or its quality falls short.",
    )
    def promote() -> None:
        promotion()

    return promote


def _rollback_job(spec: ModelSpec) -> dg.JobDefinition:
    @dg.op(
        name=f"{spec.prefix}_withdrawal",
        pool=f"{spec.prefix}_emergency",
        description="Takes the traffic away; repeats until it is gone.",
    )
    def withdrawal(context: dg.OpExecutionContext, config: Rollback, platform: Platform) -> None:
        house = platform.stores(config.time(platform))
        decision = _enact(house, spec, config.decision) if config.decision else None
        if decision is None:
            house.registry.rollback(spec.model, reason=config.reason, to=config.to or None, bad=config.bad or None)
        deployed = house.registry.deployment(spec.model)
        context.log_event(materialization(spec, "rollback", config.reason, deployed, decision))

    @dg.job(
        name=f"{spec.prefix}_rollback",
        tags=EMERGENCY,
        description=f"Take a bad version of {spec.model} out of the traffic.",
    )
    def rollback() -> None:
        withdrawal()

    return rollback


def _enact(house: House, spec: ModelSpec, decision_id: int) -> Decision:
    decision = house.rollouts.decision(decision_id)
    if decision.rollout.model != spec.model:
        raise InvalidInputError(f"decision {decision_id} is about {decision.rollout.model}, run that model's job")
    house.controller(lambda _model: spec.rollout).enact(decision)
    return decision


def _rollout_sensor(spec: ModelSpec, promote: dg.JobDefinition, rollback: dg.JobDefinition) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{spec.prefix}_rollout",
        jobs=[promote, rollback],
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the evidence and decides: advance, hold, promote, roll back or give up. "
        "Promotions and rollbacks are runs; smaller steps are done at once.",
    )
    def rollout(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        now = platform.clock().now()
        house = platform.house(spec, now)
        if house.champion(spec.model) is None:
            return _first_promotion(spec, house, promote)
        controller = house.controller(lambda _model: spec.rollout)
        assessed = controller.assess(spec.model)
        if assessed is None:
            return dg.SkipReason("no challenger")
        if assessed.outcome is Outcome.PROMOTE:
            config = Promotion(
                version=assessed.rollout.challenger,
                reason=assessed.reason,
                decision=assessed.id,
                as_of=now.isoformat(),
            )
            return _request(promote, f"{spec.prefix}_promotion", config, f"decision-{assessed.id}")
        if assessed.outcome is Outcome.ROLLBACK:
            undo = Rollback(reason=assessed.reason, decision=assessed.id, as_of=now.isoformat())
            return _request(rollback, f"{spec.prefix}_withdrawal", undo, f"decision-{assessed.id}")
        controller.enact(assessed)
        return dg.SkipReason(f"{assessed.outcome}: {assessed.reason}")

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


def _request(job: dg.JobDefinition, op: str, config: dg.Config, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, job_name=job.name, run_config=dg.RunConfig(ops={op: config}))


def materialization(
    spec: ModelSpec, action: str, reason: str, deployed: Deployment, decision: Decision | None = None
) -> dg.AssetMaterialization:
    """Of `deployment`: what was done, why, and who serves since."""
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "action": action,
        "reason": reason,
        "champion": deployed.champion or "-",
        "canary": deployed.canary or "-",
        "epoch": deployed.epoch,
        "on_hold": deployed.on_hold.reason if deployed.on_hold else "-",
    }
    if decision is not None:
        metadata |= {
            "challenger": decision.rollout.challenger,
            "decided_at": decision.at.isoformat(),
            "evidence": dg.MetadataValue.md(_tests_as_table(decision)),
        }
    return dg.AssetMaterialization(spec.key("deployment"), metadata=metadata)


def _tests_as_table(decision: Decision) -> str:
    lines = ["| test | observed | e-value | limit | verdict |", "|---|---|---|---|---|"]
    lines += [
        f"| {test.name} | {_counts(test.observed)} | {test.e_value:.4g} | {test.limit:.4g} | {test.verdict} |"
        for test in decision.tests
    ]
    return "\n".join(lines)


def _counts(observed: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in observed.items())
