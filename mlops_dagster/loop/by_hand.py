"""Actions that a person takes on the versions that serve a model."""

from enum import Enum

from mlops_dagster.loop.roll_out import PROMOTION, ROLLBACK, Step
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Stage
from mlops_dagster.stores import Stores


class Action(Enum):
    """An action on a running rollout; each member is named as people write it."""

    pause = "pause"
    resume = "resume"
    advance = "advance"
    abort = "abort"


def promote(stores: Stores, spec: ModelSpec, version: str, reason: str) -> Step:
    """Make a version champion; raises RefusedError if a gate is closed to the version."""
    stores.registry.transition(stores.registry.get(spec.model, version), Stage.PRODUCTION, reason=reason)
    return Step(reason, PROMOTION)


def roll_back(stores: Stores, spec: ModelSpec, reason: str, *, to: str, bad: str) -> Step:
    """Make the version `to` champion again, or the previous champion; nothing changes unless `bad` is champion."""
    stores.registry.rollback(spec.model, reason=reason, to=to or None, bad=bad or None)
    return Step(reason, ROLLBACK)


def act(stores: Stores, spec: ModelSpec, action: Action, reason: str) -> Step:
    """Take an action on the model's running rollout; raises RolloutNotFoundError if no rollout is running."""
    controller = stores.controller(lambda _model: spec.rollout)
    {
        Action.pause: controller.pause,
        Action.resume: controller.resume,
        Action.advance: controller.advance,
        Action.abort: controller.abort,
    }[action](spec.model, reason)
    return Step(reason, action.value)
