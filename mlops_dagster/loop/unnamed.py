"""The look after models that no definition names (any more)."""

from collections.abc import Collection

from mlops_dagster.errors import UnreadableError
from mlops_dagster.loop.fleet import Looks, look_at_each
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.actions.unnamed import hold, release, was_orchestrated
from mlops_dagster.stores import Stores


def look_after_unnamed(stores: Stores, named: Collection[str], others: Collection[str | None]) -> Looks[bool]:
    """Hold the rollouts of all registered models without a definition, and let the others go on.

    Args:
        stores: the stores.
        named: the models that definitions of this code location name.
        others: the code locations beside this one that are alive; they look after the models they published last.

    Returns:
        Whether each registered model lacks a definition.
    """
    registry, alerts = stores.registry, stores.alerts
    controller = stores.controller(lambda _model: RolloutPolicy())  # this policy is never used: no rollout is started

    def look(model: str) -> bool:
        if model in named or _publisher(stores, model) in others:
            release(stores.rollouts, controller, alerts, model)
            return False
        if not was_orchestrated(registry, model):
            return False
        hold(registry, stores.rollouts, controller, alerts, model)
        return True

    return look_at_each(registry.models(), look)


def _publisher(stores: Stores, model: str) -> str | None:
    """Return the code location that published the model's policies; None if it cannot be read."""
    try:
        return stores.registry.policies(model).location
    except UnreadableError:
        return None
