"""Removal of a challenger that was proven bad, by the controller and by the fuse."""

from collections.abc import Mapping

from mlops_dagster.registry import Deployment, ModelRegistry
from mlops_dagster.rollout.entities import Phase, Rollout
from mlops_dagster.rollout.reconcile import is_watched


def take_out(
    registry: ModelRegistry, rollout: Rollout, *, reason: str, evidence: Mapping[str, object] | None = None
) -> Deployment:
    """Withdraw a shadow or canary; in the bake, make the old champion champion again. Repeated calls change nothing.

    A proof from the bake counts also if the bake has just ended. Raises TransitionError if the challenger has become
    champion without a bake: then a rollback is left to those who promoted it.
    """
    if rollout.phase is Phase.WATCH or is_watched(registry.deployment(rollout.model), rollout):
        return registry.rollback(
            rollout.model, reason=reason, to=rollout.champion, bad=rollout.final, evidence=evidence
        )
    return registry.withdraw(registry.get(rollout.model, rollout.challenger), reason=reason, evidence=evidence)
