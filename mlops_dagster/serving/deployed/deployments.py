"""Which deployment is in force here: the registry's, as far as its versions are in memory."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import cached_property

from mlops_dagster.errors import (
    MlopsError,
    ModelNotFoundError,
    NotFoundError,
    StorageError,
    UnreadableError,
    VersionNotFoundError,
)
from mlops_dagster.registry import Deployment, Stage
from mlops_dagster.rollout import Phase, Rollout, RolloutPolicy
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.deployed.loader import Loader
from mlops_dagster.serving.deployed.registry_cache import Known, RegistryCache
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.isolation import for_each
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.15  # and the time a round takes: 250 ms are promised
NAMED_KEPT = 2  # versions that were asked for by name and serve nothing else: loading one costs seconds


@dataclass(frozen=True)
class InForce:
    """Who answers a model's requests now. Replaced as a whole, so a request sees one state."""

    deployment: Deployment
    versions: Mapping[str, LoadedModel]
    """Those in memory, the warm previous champion among them."""
    rollout: Rollout | None
    """The one that runs."""
    unavailable: str | None = None
    """Why nobody can answer, where there should be a champion."""

    @cached_property
    def features(self) -> frozenset[str]:
        """What any of the versions takes."""
        return frozenset(name for version in self.versions.values() for name in version.schema.names)

    @cached_property
    def classes(self) -> frozenset[str]:
        """What any of the versions may answer."""
        return frozenset(name for version in self.versions.values() for name in version.schema.classes)

    @cached_property
    def policy(self) -> RolloutPolicy:
        """Of the running rollout. A canary that was set by hand has none: the defaults compare it on all requests."""
        return self.rollout.policy if self.rollout is not None else RolloutPolicy()

    @cached_property
    def trial(self) -> str:
        """What labels are evidence of now: the running rollout, or the watch after it; empty without one."""
        if self.rollout is None:
            return ""
        return f"{self.rollout.id}{'w' if self.rollout.phase is Phase.WATCH else ''}"

    @cached_property
    def on_hold(self) -> str | None:
        """Why nobody's requests are answered, if they are not to be."""
        hold = self.deployment.on_hold
        return None if hold is None else f"model {self.deployment.model!r} is on hold: {hold.reason}"

    @property
    def paired_share(self) -> float:
        """Share of the requests that the other arm scores too while a canary runs."""
        return self.policy.paired_share if self.policy.uses_pairs else 0.0


class Deployments:
    """The deployments in force, brought up to date by `refresh`; the last known ones while the registry is away."""

    def __init__(
        self, process: str, stores: Stores, last_known: RegistryCache, loader: Loader, telemetry: Telemetry
    ) -> None:
        self._process = process
        self._stores = stores
        self._last_known = last_known
        self._loader = loader
        self._telemetry = telemetry
        self._known = {known.deployment.model: known for known in last_known.deployments()}
        self._unread: str | None = "the registry was not read yet"
        self._in_force: dict[str, InForce] = {}
        self._acknowledged: dict[str, int] = {}
        # Salt and version: each canary has a salt of its own, so a later trial of the version is not cut off.
        self._cut_off: set[tuple[str, str]] = set()
        self._changing = threading.Lock()
        self._named: dict[str, deque[str]] = {}
        self._unreadable: dict[str, str] = {}

    def get(self, model: str) -> InForce:
        """The deployment in force; raises ModelNotFoundError."""
        try:
            return self._in_force[model]
        except KeyError:
            raise ModelNotFoundError(f"no model {model!r} is served here; served: {sorted(self._in_force)}") from None

    def models(self) -> list[str]:
        return sorted(self._in_force)

    def wait_for_loads(self, seconds: float) -> bool:
        """Until every version that has a role is in memory or cannot be loaded; whether there was any to wait for."""
        loads = [
            self._loader.load(model, name) for model, known in self._known.items() for name in _roles(known.deployment)
        ]
        return bool(wait(loads, seconds).done)

    async def named(self, model: str, version: str) -> LoadedModel:
        """Any version of a served model, loaded if need be; raises VersionNotFoundError, or what its load raised.

        A deprecated one is not loaded for that; the previous champion is in memory anyway.
        """
        in_force = self.get(model)
        if version in in_force.versions:
            return in_force.versions[version]
        # Before anything is loaded: an unknown version must not become a load that fails again and again.
        found = await asyncio.to_thread(self._loader.version, model, version)
        name = found.version
        if found.stage is Stage.DEPRECATED:
            raise VersionNotFoundError(f"{model} {name} is deprecated: it is kept, and served no more")
        recent = self._named.setdefault(model, deque(maxlen=NAMED_KEPT))
        if name not in recent:
            recent.append(name)
        return await asyncio.wrap_future(self._loader.load(model, name))

    def unavailable(self) -> dict[str, str]:
        """The models that have a champion and cannot answer, with the reason; "*" if no model is known yet."""
        if self._unread is not None and not self._known:
            return {"*": self._unread}
        return {model: reason for model, now in sorted(self._in_force.items()) if (reason := now.unavailable)}

    async def readiness(self, model: str, version: str | None, *, may_load: bool) -> tuple[str | None, str | None]:
        """The version that is asked about (None: the champion), and why a request would not be answered by it.

        One that is in memory for nobody is loaded, as a request would have it, if the caller may. Raises NotFoundError.
        """
        in_force = self.get(model)
        if in_force.on_hold is not None:
            return version or in_force.deployment.champion, in_force.on_hold
        if version is None:
            name = in_force.deployment.champion
            return name, in_force.unavailable if name else in_force.unavailable or f"model {model!r} has no champion"
        found = await asyncio.to_thread(self._loader.version, model, version)
        if not may_load and self._loader.loaded(model, found.version) is None:
            return found.version, f"version {found.version} is not in memory; the first request loads it"
        try:
            return (await self.named(model, version)).version, None
        except NotFoundError:
            raise
        except MlopsError as error:
            return found.version, error.message

    def described(self, model: str, version: str | None) -> tuple[list[str], ModelSchema]:
        """The versions there are (or the one asked for), and what it (or the champion) takes. Raises NotFoundError."""
        name = version or self.get(model).deployment.champion
        if name is None:
            raise VersionNotFoundError(f"model {model!r} has no champion; ask for a version")
        found = self._loader.version(model, name)
        if found.schema is None:
            raise VersionNotFoundError(f"{model} {name} was registered without a schema and cannot be served")
        return [name] if version else [entry.version for entry in self._stores.registry.list(model)], found.schema

    def cut_off(self, model: str, version: str) -> None:
        """Take the canary, or the watched champion, out of traffic here and now, until the registry follows."""
        with self._changing:
            in_force = self._in_force[model]
            self._cut_off.add((in_force.deployment.salt, version))
            self._in_force[model] = replace(in_force, deployment=without(in_force.deployment, self._cut_off))

    def refresh(self) -> None:
        """Re-read every deployment, put in force what is in memory, and acknowledge what is wholly in force.

        While the registry is away the last known deployments go on, and what is loaded meanwhile comes into force:
        that done, StorageError is raised. What cannot be read of one model leaves the last known one in force: it is
        raised once all others are up to date.
        """
        try:
            models = self._stores.registry.models()
            # At the start no champion waits for the trial of another model's challenger.
            failures = [] if self._in_force else for_each(models, self._load_champion)
            failures += for_each(models, self._bring_up_to_date)
            self._unread = None
        except StorageError as error:
            self._unread = f"the registry cannot be read: {error}"
            for known in self._known.values():
                self._put_in_force(known)
            raise
        if failures:
            raise failures[0]

    def _load_champion(self, model: str) -> None:
        deployment = self._stores.registry.deployment(model)
        if deployment.champion is not None:
            self._loader.load(model, deployment.champion)

    def _bring_up_to_date(self, model: str) -> None:
        try:
            known = self._read(model)
        except UnreadableError:
            if model in self._known:
                self._put_in_force(self._known[model])
            raise
        if self._put_in_force(known):
            self._acknowledge(known.deployment)

    def _read(self, model: str) -> Known:
        deployment = self._stores.registry.deployment(model)
        rollout = self._rollout(deployment) if deployment.canary or deployment.shadows else None
        known = Known(deployment, rollout)
        if known != self._known.get(model):
            self._known[model] = known
            try:
                self._last_known.note(known)
            except StorageError:  # a full disk must not keep a rollback from coming into force
                logger.exception("the deployment of %s is in force, and would not be known after a restart", model)
        return known

    def _rollout(self, deployment: Deployment) -> Rollout | None:
        """The running rollout, as it was last known if it cannot be read: a rollback comes into force all the same."""
        model = deployment.model
        try:
            found = self._stores.rollouts.active(model)
            self._unreadable.pop(model, None)
        except UnreadableError as error:
            if self._unreadable.get(model) != str(error):
                self._unreadable[model] = str(error)
                logger.error("the fuse goes by the rollout as it was before: %s", error)
            found = self._known[model].rollout if model in self._known else None
        return found

    def _put_in_force(self, known: Known) -> bool:
        """As far as it is in memory; returns whether that is all of it."""
        wanted, model = known.deployment, known.deployment.model
        current = self._in_force.get(model)
        champion_now = current.deployment.champion if current is not None else None
        names = {name: None for name in (*_roles(wanted), champion_now) if name is not None}
        versions = {name: loaded for name in names if (loaded := self._loader.ready(model, name)) is not None}
        with self._changing:
            deployment = without(reachable(wanted, versions, champion_now), self._cut_off)
            unavailable = self._unavailable(wanted) if deployment.champion is None else None
            self._in_force[model] = InForce(deployment, versions, known.rollout, unavailable)
        self._loader.forget(model, {*names, *self._named.get(model, ())})
        return deployment == wanted

    def _acknowledge(self, deployment: Deployment) -> None:
        model, epoch = deployment.model, deployment.epoch
        if self._acknowledged.get(model) != epoch:
            self._stores.registry.acknowledge(model, self._process, epoch)
            self._acknowledged[model] = epoch
            self._telemetry.in_force(model, epoch)

    def _unavailable(self, wanted: Deployment) -> str | None:
        if wanted.champion is None:
            return None
        why = self._loader.error(wanted.model, wanted.champion) or "it is being loaded"
        return f"the champion {wanted.champion} of {wanted.model} cannot answer yet: {why}"


def _roles(deployment: Deployment) -> list[str]:
    """Whom to keep in memory, in the order of their loads: who answers, who is to go back to, and who is on trial."""
    roles = (deployment.champion, deployment.previous, deployment.canary, *deployment.shadows)
    return [name for name in roles if name is not None]


def reachable(wanted: Deployment, loaded: Collection[str], champion_now: str | None) -> Deployment:
    """The part of `wanted` whose versions are loaded; a champion that is not is stood in for by a warm one."""
    champion = wanted.champion
    if champion is not None and champion not in loaded:
        champion = next((name for name in (wanted.previous, champion_now) if name in loaded), None)
    canary = wanted.canary if wanted.canary in loaded else None
    shadows = tuple(name for name in wanted.shadows if name in loaded and name != champion)
    weight = wanted.canary_weight if canary is not None else 0.0
    return replace(wanted, champion=champion, canary=canary, canary_weight=weight, shadows=shadows)


def without(deployment: Deployment, cut_off: Collection[tuple[str, str]]) -> Deployment:
    """`deployment` less a canary of those trials (salt and version); a champion of them gives way to its old one.

    That is there as a shadow as long as the trial goes on; where it is not, a person has decided otherwise.
    """
    if (deployment.salt, deployment.canary) in cut_off:
        return replace(deployment, canary=None, canary_weight=0.0)
    old = deployment.previous
    if (deployment.salt, deployment.champion) in cut_off and old in deployment.shadows:
        shadows = tuple(name for name in deployment.shadows if name != old)
        return replace(deployment, champion=old, shadows=shadows)
    return deployment
