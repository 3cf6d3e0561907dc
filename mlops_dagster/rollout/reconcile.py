"""Reconciliation of a stored rollout with the deployment.

The deployment is authoritative, and the rollout's row follows it. A step is made in the registry first; the row is then
updated by the same function that updates it after a crash, after the fuse, and after a manual change.
"""

import math
from dataclasses import replace

from mlops_dagster.registry import Deployment, ModelVersion
from mlops_dagster.rollout.entities import Phase, Rollout


def reconcile(rollout: Rollout, deployment: Deployment, challenger: ModelVersion) -> Rollout:
    """Return the rollout as `deployment` shows it; `challenger` (as champion `rollout.final`) must be read after it.

    An ended rollout stays ended, and a deployment older than the one reconciled before changes nothing.
    """
    if rollout.phase.ended or deployment.epoch < rollout.epoch:
        return rollout
    rollout = replace(rollout, epoch=deployment.epoch)
    same_champion = deployment.champion == rollout.champion
    if same_champion and receives_traffic(deployment, rollout.challenger):
        return _running(rollout, deployment)
    if is_watched(deployment, rollout):
        return _watched(rollout, deployment)
    if deployment.champion == rollout.final:
        return _ended(_watched(rollout, deployment), deployment, Phase.PROMOTED, challenger.reason)
    if challenger.rolled_back:
        return _ended(rollout, deployment, Phase.ROLLED_BACK, challenger.reason)
    if rollout.phase is Phase.WATCH and not same_champion:
        reason = f"the champion is {deployment.champion or 'none'} now, before the watch was over"
        return _ended(rollout, deployment, Phase.PROMOTED, reason)
    if not same_champion:
        reason = f"the champion is {deployment.champion} now, compared was with {rollout.champion}"
        return _ended(rollout, deployment, Phase.GIVEN_UP, reason)
    return _ended(rollout, deployment, Phase.GIVEN_UP, challenger.reason or "taken out by hand")


def is_watched(deployment: Deployment, rollout: Rollout) -> bool:
    """Return whether the bake is on: the challenger is champion, and the old champion its shadow."""
    return deployment.champion == rollout.final and rollout.champion in deployment.shadows


def extra_version(deployment: Deployment, rollout: Rollout) -> str | None:
    """Return the version that gets requests because of this rollout: the challenger, then the old champion; or None."""
    if receives_traffic(deployment, rollout.challenger):
        return rollout.challenger
    return rollout.champion if rollout.champion in deployment.shadows else None


def receives_traffic(deployment: Deployment, version: str) -> bool:
    """Return whether `version` gets requests as canary or shadow."""
    return version == deployment.canary or version in deployment.shadows


def _running(rollout: Rollout, deployment: Deployment) -> Rollout:
    if rollout.challenger != deployment.canary:
        if rollout.phase is Phase.SHADOW:
            return rollout
        return replace(rollout, phase=Phase.SHADOW, step=0, weight=0.0, canary_at=None, step_at=deployment.updated_at)
    if rollout.phase is Phase.CANARY and rollout.weight == deployment.canary_weight:
        return rollout
    return replace(
        rollout,
        phase=Phase.CANARY,
        step=_step(rollout, deployment.canary_weight),
        weight=deployment.canary_weight,
        canary_at=rollout.canary_at or deployment.updated_at,
        step_at=deployment.updated_at,
    )


def _watched(rollout: Rollout, deployment: Deployment) -> Rollout:
    if rollout.phase is Phase.WATCH:
        return rollout
    at = deployment.updated_at
    return replace(rollout, phase=Phase.WATCH, weight=1.0, step_at=at, promoted_at=at)


def _step(rollout: Rollout, weight: float) -> int:
    """Return the last step that `weight` has reached; a manual weight may lie between two, or before the first."""
    reached = [share for share in rollout.policy.steps if share <= weight or math.isclose(share, weight)]
    return max(1, len(reached))


def _ended(rollout: Rollout, deployment: Deployment, phase: Phase, reason: str) -> Rollout:
    return replace(rollout, phase=phase, ended_at=deployment.updated_at, reason=reason)
