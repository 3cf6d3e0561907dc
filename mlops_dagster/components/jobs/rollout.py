"""Rollout: the jobs that promote and roll back."""

import dagster as dg

from mlops_dagster.components.assets.deployment_record import materializations
from mlops_dagster.components.jobs.rollout_runs import Promotion, Rollback
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import STAGE
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.sensors.rollout import limits_sensor, rollout_sensor
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Decision
from mlops_dagster.stores import Stores

EMERGENCY = {"dagster/priority": "100", "mlops/emergency": "true"}
"""Tags that put a run ahead of all queued runs; the limits in `dagster.yaml` keep a slot free for it."""


def rollout_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the asset `deployment`, the jobs `promote` and `rollback`, and the sensors `limits` and `rollout`."""
    deployment = dg.AssetSpec(
        key_of(spec, "deployment"),
        group_name=spec.prefix,
        tags={STAGE: "serving"},
        kinds={"registry"},
        owners=list(spec.owners),
        deps=[key_of(spec, "registered_version")],
        description="The versions that answer requests. Materialized by each step, promotion, rollback and manual "
        "action, with reason and evidence.",
    )
    promote, rollback = _promote_job(spec), _rollback_job(spec)
    return dg.Definitions(
        assets=[deployment],
        jobs=[promote, rollback],
        sensors=[limits_sensor(spec, rollback), rollout_sensor(spec, promote, rollback)],
    )


def _promote_job(spec: ModelSpec) -> dg.JobDefinition:
    @dg.op(
        name=f"{spec.prefix}_promotion", description="Checks the gates, then changes the deployment by compare-and-set."
    )
    def promotion(context: dg.OpExecutionContext, config: Promotion, platform: Platform) -> None:
        stores = platform.stores()
        publish_policies(stores, spec, context)
        decision = _enact(stores, spec, config.decision) if config.decision else None
        if decision is None:
            version = stores.registry.get(spec.model, config.version)
            stores.registry.transition(version, Stage.PRODUCTION, reason=config.reason)
        deployed = stores.registry.deployment(spec.model)
        for event in materializations(context.instance, spec, "promotion", config.reason, deployed, decision):
            context.log_event(event)

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
        stores = platform.stores()
        decision = _enact(stores, spec, config.decision) if config.decision else None
        if decision is None:
            stores.registry.rollback(spec.model, reason=config.reason, to=config.to or None, bad=config.bad or None)
        deployed = stores.registry.deployment(spec.model)
        for event in materializations(context.instance, spec, "rollback", config.reason, deployed, decision):
            context.log_event(event)

    @dg.job(
        name=f"{spec.prefix}_rollback",
        tags=EMERGENCY,
        executor_def=dg.in_process_executor,  # with any default executor: a new process takes seconds to start
        description=f"Take a bad version of {spec.model} out of the traffic.",
    )
    def rollback() -> None:
        withdrawal()

    return rollback


def _enact(stores: Stores, spec: ModelSpec, decision_id: int) -> Decision:
    decision = stores.rollouts.decision(decision_id)
    if decision.rollout.model != spec.model:
        raise InvalidInputError(f"decision {decision_id} is about {decision.rollout.model}, run that model's job")
    stores.controller(lambda _model: spec.rollout).enact(decision)
    return decision
