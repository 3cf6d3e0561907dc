"""The state that answers a model's requests, and the part of a deployment that can be in force."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from mlops_dagster.predictions import Role
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import Phase, Rollout, RolloutPolicy
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.tasks import Task, joined


@dataclass(frozen=True)
class InForce:
    """The versions that answer a model's requests now; replaced as a whole, so that a request sees one state."""

    deployment: Deployment
    versions: Mapping[str, LoadedModel]
    """The versions in memory, the warm previous champion among them."""
    rollout: Rollout | None
    """The rollout that runs."""
    slow_ms: float
    """A request that takes longer is slow: by the policy of the running rollout, or else the published one."""
    unavailable: str | None = None
    """Why the champion cannot answer, if the model should have one."""

    @cached_property
    def features(self) -> frozenset[str]:
        """The names of all features that any of the versions takes."""
        return frozenset(name for version in self.versions.values() for name in version.schema.names)

    @cached_property
    def task(self) -> Task | None:
        """The task with the truths of all versions; None if none is in memory."""
        return joined(version.schema.task for version in self.versions.values())

    @cached_property
    def policy(self) -> RolloutPolicy:
        """The policy of the running rollout; for a canary set by hand the defaults, which compare on all requests."""
        return self.rollout.policy if self.rollout is not None else RolloutPolicy()

    @cached_property
    def arms(self) -> list[tuple[str, Role, ModelSchema]]:
        """The version, role and schema of every arm that scores requests of the split."""
        deployment = self.deployment
        named: list[tuple[str | None, Role]] = [(deployment.champion, "champion"), (deployment.canary, "canary")]
        if deployment.canary is not None:
            named += [(deployment.champion, "paired"), (deployment.canary, "paired")]
        named += [(shadow, "shadow") for shadow in deployment.shadows]
        return [
            (name, role, self.versions[name].schema)
            for name, role in named
            if name is not None and name in self.versions
        ]

    @cached_property
    def trial(self) -> str:
        """The name of what labels are evidence for now: the running rollout, or its bake; empty without a rollout."""
        if self.rollout is None:
            return ""
        return f"{self.rollout.id}{'w' if self.rollout.phase is Phase.WATCH else ''}"

    @cached_property
    def on_hold(self) -> str | None:
        """The reason of the model's hold, for which its requests are not answered; None if the model is not on hold."""
        hold = self.deployment.on_hold
        return None if hold is None else f"model {self.deployment.model!r} is on hold: {hold.reason}"

    @property
    def paired_share(self) -> float:
        """The share of the requests that the other arm scores too while a canary runs."""
        return self.policy.paired_share if self.policy.uses_pairs else 0.0


def reachable(wanted: Deployment, loaded: Collection[str], champion_now: str | None) -> Deployment:
    """Return the part of `wanted` whose versions are loaded; a warm former champion replaces one that is not loaded."""
    champion = wanted.champion
    if champion is not None and champion not in loaded:
        champion = next((name for name in (wanted.previous, champion_now) if name in loaded), None)
    canary = wanted.canary if wanted.canary in loaded else None
    shadows = tuple(name for name in wanted.shadows if name in loaded and name != champion)
    weight = wanted.canary_weight if canary is not None else 0.0
    return replace(wanted, champion=champion, canary=canary, canary_weight=weight, shadows=shadows)


def without(deployment: Deployment, cut_off: Collection[tuple[str, str]]) -> Deployment:
    """Return `deployment` without a canary in `cut_off` (salt and version); a champion in it gives way to the old one.

    During its bake the old champion is a shadow; where it is not, a person has decided otherwise, and the champion
    stays.
    """
    if (deployment.salt, deployment.canary) in cut_off:
        return replace(deployment, canary=None, canary_weight=0.0)
    old = deployment.previous
    if (deployment.salt, deployment.champion) in cut_off and old in deployment.shadows:
        shadows = tuple(name for name in deployment.shadows if name != old)
        return replace(deployment, champion=old, shadows=shadows)
    return deployment
