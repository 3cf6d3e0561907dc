"""The version that gets the next rollout."""

from collections.abc import Collection
from typing import Final

from mlops_dagster.registry import Deployment, ModelRegistry, ModelVersion, Stage

_STAGES: Final = (Stage.REGISTERED, Stage.SHADOW, Stage.CANARY)
"""Stages of a version that waits for a rollout, a later one first: a manual canary, or an interrupted start."""


def next_challenger(registry: ModelRegistry, deployment: Deployment, *, over: Collection[str]) -> ModelVersion | None:
    """Return the newest version after the champion and after all `over`, those that had a rollout; None without one.

    Versions that are skipped never get a rollout.
    """
    if deployment.champion is None:
        return None
    model, over = deployment.model, {*over, deployment.champion}
    names = registry.names(model)
    last_over = max(index for index, name in enumerate(names) if name in over)
    waiting = [
        version
        for version in (registry.get(model, name) for name in names[last_over + 1 :])
        if version.stage in _STAGES and not version.rolled_back and deployment.canary in (None, version.version)
        if registry.known_bad(version) is None
    ]
    return max(reversed(waiting), key=lambda version: _STAGES.index(version.stage), default=None)
