"""The choice of the two versions that a comparison is about."""

from datetime import datetime

from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout import Rollout
from mlops_dagster.stores import Stores


def versions_to_compare(
    stores: Stores, model: str, champion: str = "", challenger: str = ""
) -> tuple[ModelVersion | None, ModelVersion | None]:
    """Return champion and challenger: the named ones, else those of the running rollout.

    Without a rollout they are the present champion and the newest other version; None where there is none.
    """
    rollout = stores.rollouts.active(model)
    if rollout is not None:
        found = (rollout.champion, rollout.challenger)
    else:
        serving = stores.champion(model)
        others = [version.version for version in stores.versions(model) if serving and version != serving]
        found = (serving.version if serving else "", others[-1] if others else "")
    names = (champion or found[0], challenger or found[1])
    old, new = (stores.registry.get(model, name) if name else None for name in names)
    return old, new


def comparable_rollout(stores: Stores, model: str, now: datetime) -> Rollout | str:
    """Return the running rollout of a model if there are labels to compare its versions by, else the reason."""
    rollout = stores.rollouts.active(model)
    if rollout is None:
        return "no rollout is running"
    if not any(arm.counts.labelled for arm in stores.rollups.events(model, rollout.started_at, now)):
        return f"no labels yet since the rollout of {rollout.challenger} began"
    return rollout
