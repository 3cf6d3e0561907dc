"""The jobs with which a person changes the versions that serve, from the UI: `promote`, `rollback`, `rollout_by_hand`.

They are for any model of the code location, which their configuration names. Sensors do not need them.
"""

from collections.abc import Sequence
from enum import Enum

import dagster as dg

from mlops_dagster.components.assets.deployment_record import materializations
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.errors import ModelNotFoundError
from mlops_dagster.loop.roll_out import PROMOTION, ROLLBACK, Step
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Stage
from mlops_dagster.stores import Stores

EMERGENCY = {"dagster/priority": "100", "mlops/emergency": "true"}
"""Tags that put a run ahead of all queued runs; the limits in `dagster.yaml` keep a slot free for it."""


class Promotion(dg.Config):
    """The model and the version to make champion, and the reason, which is kept for ever."""

    model: str
    version: str
    reason: str


class Rollback(dg.Config):
    """The model to roll back to the previous champion, or to the version `to`, and the reason, which is kept for ever.

    `bad` may name the champion to be replaced: then a second run of the same configuration changes nothing.
    """

    model: str
    reason: str
    to: str = ""
    bad: str = ""


class Action(Enum):
    """An action as it is named in the launchpad: Dagster reads an enum by its names."""

    pause = "pause"
    resume = "resume"
    advance = "advance"
    abort = "abort"


class ByHand(dg.Config):
    """The model, the action to take on its running rollout, and the reason, which is kept for ever."""

    model: str
    action: Action
    reason: str


def by_hand_jobs(specs: Sequence[ModelSpec]) -> list[dg.JobDefinition]:
    """Return the three jobs over all models."""
    by_model = {spec.model: spec for spec in specs}

    def spec_of(model: str) -> ModelSpec:
        if model not in by_model:
            there = ", ".join(sorted(by_model)) or "none"
            raise ModelNotFoundError(f"this code location has no model {model!r}; there is {there}")
        return by_model[model]

    def record(context: dg.OpExecutionContext, stores: Stores, spec: ModelSpec, step: Step) -> None:
        for event in materializations(context.instance, stores, spec, step):
            context.log_event(event)

    @dg.op(description="Checks the gates, then changes the deployment by compare-and-set.")
    def promotion(context: dg.OpExecutionContext, config: Promotion, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(config.model)
        publish_policies(stores, spec, context)
        version = stores.registry.get(spec.model, config.version)
        stores.registry.transition(version, Stage.PRODUCTION, reason=config.reason)
        record(context, stores, spec, Step(config.reason, PROMOTION))

    @dg.op(description="Makes the previous champion, or the version that is named, champion again.")
    def withdrawal(context: dg.OpExecutionContext, config: Rollback, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(config.model)
        stores.registry.rollback(spec.model, reason=config.reason, to=config.to or None, bad=config.bad or None)
        record(context, stores, spec, Step(config.reason, ROLLBACK))

    @dg.op(
        description="pause: never advances, still rolls back on proof. resume: goes on. advance: the next step at "
        "once, at the last one the promotion; gates hold. abort: the challenger goes, without being called bad."
    )
    def manual_action(context: dg.OpExecutionContext, config: ByHand, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(config.model)
        controller = stores.controller(lambda _model: spec.rollout)
        act = {
            Action.pause: controller.pause,
            Action.resume: controller.resume,
            Action.advance: controller.advance,
            Action.abort: controller.abort,
        }[config.action]
        rollout = act(spec.model, config.reason)
        context.log.info(f"rollout {rollout.id} of {rollout.challenger}: {rollout.phase}, step {rollout.step}")
        record(context, stores, spec, Step(config.reason, config.action.value))

    @dg.job(description="Make a version of a model champion. Refused if its card or its quality falls short.")
    def promote() -> None:
        promotion()

    # With any default executor a new process would take seconds to start.
    @dg.job(tags=EMERGENCY, executor_def=dg.in_process_executor, description="Take a bad champion out of the traffic.")
    def rollback() -> None:
        withdrawal()

    @dg.job(
        tags=EMERGENCY,
        executor_def=dg.in_process_executor,
        description="Pause, resume, advance or abort the running rollout of a model.",
    )
    def rollout_by_hand() -> None:
        manual_action()

    return [promote, rollback, rollout_by_hand]
