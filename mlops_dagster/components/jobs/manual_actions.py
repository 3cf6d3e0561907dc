"""Manual actions: the job with which a person pauses, resumes, advances or aborts a rollout from the UI."""

from enum import Enum

import dagster as dg

from mlops_dagster.components.assets.deployment_record import materializations
from mlops_dagster.components.jobs.rollout import EMERGENCY
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.spec import ModelSpec


class Action(Enum):
    """An action as it is named in the launchpad: Dagster reads an enum by its names."""

    pause = "pause"
    resume = "resume"
    advance = "advance"
    abort = "abort"


class ByHand(dg.Config):
    """The action to take on the running rollout, and the reason, which is kept for ever."""

    action: Action
    reason: str


def by_hand_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the job `rollout_by_hand`."""

    @dg.op(
        name=f"{spec.prefix}_manual_action",  # no op's name ends like another's: `shop-rollout` can be a model too
        pool=f"{spec.prefix}_emergency",
        description="pause: never advances, still rolls back on proof. resume: goes on. advance: the next step at "
        "once, at the last one the promotion; gates hold. abort: the challenger goes, without being called bad.",
    )
    def by_hand(context: dg.OpExecutionContext, config: ByHand, platform: Platform) -> None:
        stores = platform.stores()
        controller = stores.controller(lambda _model: spec.rollout)
        act = {
            Action.pause: controller.pause,
            Action.resume: controller.resume,
            Action.advance: controller.advance,
            Action.abort: controller.abort,
        }[config.action]
        rollout = act(spec.model, config.reason)
        context.log.info(f"rollout {rollout.id} of {rollout.challenger}: {rollout.phase}, step {rollout.step}")
        deployed = stores.registry.deployment(spec.model)
        for event in materializations(context.instance, spec, config.action.value, config.reason, deployed):
            context.log_event(event)

    @dg.job(
        name=f"{spec.prefix}_rollout_by_hand",
        tags=EMERGENCY,
        executor_def=dg.in_process_executor,
        description=f"Pause, resume, advance or abort the running rollout of {spec.model}.",
    )
    def rollout_by_hand() -> None:
        by_hand()

    return dg.Definitions(jobs=[rollout_by_hand])
