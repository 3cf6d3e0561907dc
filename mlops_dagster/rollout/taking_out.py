"""Taking out a challenger that was proven bad: what the controller and the fuse both do."""

from collections.abc import Mapping

from mlops_dagster.registry import Deployment, ModelRegistry
from mlops_dagster.rollout.entities import Phase, Rollout
from mlops_dagster.rollout.reconcile import is_watched


def take_out(
    registry: ModelRegistry, rollout: Rollout, *, reason: str, evidence: Mapping[str, object] | None = None
) -> Deployment:
    """Withdraw a shadow or canary; in the watch, put the old champion back in its place. Again changes nothing.

    What was proven in the watch counts when that has just ended, too. Raises TransitionError if the challenger has
    become champion without a watch: that is left to whoever did it.
    """
    if rollout.phase is Phase.WATCH or is_watched(registry.deployment(rollout.model), rollout):
        return registry.rollback(
            rollout.model, reason=reason, to=rollout.champion, bad=rollout.final, evidence=evidence
        )
    return registry.withdraw(registry.get(rollout.model, rollout.challenger), reason=reason, evidence=evidence)
