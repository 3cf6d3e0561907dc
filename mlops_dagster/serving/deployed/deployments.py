"""The deployments in force in this process: those of the registry, as far as their versions are in memory."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import wait
from dataclasses import replace
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
from mlops_dagster.rollout import Rollout, RolloutPolicy
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.deployed.in_force import InForce, reachable, without
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.deployed.loader import Loader
from mlops_dagster.serving.deployed.registry_cache import Known, RegistryCache
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.isolation import for_each
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.15  # plus the time that a round takes: 250 ms are promised in all
DEFAULT_SLOW_MS = RolloutPolicy().slow_ms
NAMED_KEPT = 2  # versions without a role that requests named, kept in memory because loading one takes seconds


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
        self._away_since: float | None = None
        self._slow_ms = last_known.slow_limits()
        self._in_force: dict[str, InForce] = {}
        self._acknowledged: dict[str, int] = {}
        # Salt and version: each canary has a new salt, so a later rollout of the same version is not cut off.
        self._cut_off: set[tuple[str, str]] = set()
        self._changing = threading.Lock()
        self._named: dict[str, deque[str]] = {}
        self._unreadable: dict[str, str] = {}
        self._settled: dict[str, Known] = {}
        """By model, what is wholly in force and acknowledged: nothing is left to do until it changes."""

    @cached_property
    def _deployments(self) -> Callable[[], Mapping[str, Deployment | UnreadableError]]:
        return self._stores.registry.follow_deployments()

    @cached_property
    def _rollouts(self) -> Callable[[], Mapping[str, Rollout | UnreadableError]]:
        return self._stores.rollouts.follow_running()

    def get(self, model: str) -> InForce:
        """Return the deployment in force of `model`; raises ModelNotFoundError."""
        try:
            return self._in_force[model]
        except KeyError:
            raise ModelNotFoundError(f"no model {model!r} is served here; served: {sorted(self._in_force)}") from None

    def models(self) -> list[str]:
        return sorted(self._in_force)

    def wait_for_loads(self, seconds: float) -> bool:
        """Wait up to `seconds` until each version with a role is loaded or cannot be; return whether a load ended."""
        loads = [
            self._loader.load(model, name) for model, known in self._known.items() for name in _roles(known.deployment)
        ]
        return bool(wait(loads, seconds).done)

    async def named(self, model: str, version: str) -> LoadedModel:
        """Return any version of a served model, loaded if need be; raises VersionNotFoundError, or the load's error.

        A deprecated version is not loaded for a request; the previous champion is in memory anyway.
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
            self._settled.pop(model, None)
        return await asyncio.wrap_future(self._loader.load(model, name))

    def unavailable(self) -> dict[str, str]:
        """Return the models that have a champion and cannot answer, with the reason; "*" if no model is known yet."""
        if self._unread is not None and not self._known:
            return {"*": self._unread}
        return {model: reason for model, now in sorted(self._in_force.items()) if (reason := now.unavailable)}

    async def readiness(self, model: str, version: str | None, *, may_load: bool) -> tuple[str | None, str | None]:
        """Return the version (None: the champion), and why a request would not be answered by it; None if it would be.

        A version that is not in memory is loaded, as by a request, with `may_load`. Raises NotFoundError.
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
        """Return a model's versions and its champion's schema, or `version` and the schema of that.

        Raises NotFoundError.
        """
        name = version or self.get(model).deployment.champion
        if name is None:
            raise VersionNotFoundError(f"model {model!r} has no champion; ask for a version")
        found = self._loader.version(model, name)
        if found.schema is None:
            raise VersionNotFoundError(f"{model} {name} was registered without a schema and cannot be served")
        return [name] if version else [entry.version for entry in self._stores.registry.list(model)], found.schema

    def cut_off(self, model: str, version: str) -> None:
        """Take the canary, or a champion in its bake, out of this process's traffic, before the registry follows."""
        with self._changing:
            in_force = self._in_force[model]
            self._cut_off.add((in_force.deployment.salt, version))
            self._in_force[model] = replace(in_force, deployment=without(in_force.deployment, self._cut_off))

    def refresh(self) -> None:
        """Re-read every deployment, put the versions in memory in force, and acknowledge deployments wholly in force.

        While the registry is away, the last known deployments go on, and versions that are loaded meanwhile come into
        force; then StorageError is raised. If the deployment of one model cannot be read, the last known one stays in
        force, and the error is raised once all other models are up to date.
        """
        try:
            deployments = self._deployments()
            rollouts = self._rollouts() if any(map(_rolls_out, deployments.values())) else {}
            if not self._in_force:
                self._load_champions(deployments.values())
            failures = for_each(
                deployments, lambda model: self._bring_up_to_date(model, deployments[model], rollouts.get(model))
            )
            self._unread, self._away_since = None, None
            self._telemetry.registry_away(0)
        except StorageError as error:
            self._unread = f"the registry cannot be read: {error}"
            now = time.monotonic()
            self._away_since = self._away_since or now
            self._telemetry.registry_away(now - self._away_since)
            for known in self._known.values():
                self._put_in_force(known)
            raise
        if failures:
            raise failures[0]

    def read_slow_limits(self) -> None:
        """Read the limits above which requests are slow, as the housekeeper last found them in the registry."""
        limits = self._last_known.slow_limits()
        if limits != self._slow_ms:
            self._slow_ms = limits
            self._settled.clear()

    def _load_champions(self, deployments: Iterable[Deployment | UnreadableError]) -> None:
        """Begin to load champions before all else: none waits for the trial of another model's challenger."""
        for each in deployments:
            if isinstance(each, Deployment) and each.champion is not None:
                self._loader.load(each.model, each.champion)

    def _bring_up_to_date(
        self, model: str, deployment: Deployment | UnreadableError, rollout: Rollout | UnreadableError | None
    ) -> None:
        if isinstance(deployment, UnreadableError):
            if model in self._known:
                self._put_in_force(self._known[model])
            raise deployment
        settled = self._settled.get(model)
        rollout = self._rollout(model, rollout) if _rolls_out(deployment) else None
        if settled is not None and settled.deployment is deployment and settled.rollout is rollout:
            return
        known = self._note(deployment, rollout)
        if self._put_in_force(known):
            self._acknowledge(deployment)
            if self._in_force[model].versions.keys() == {*_roles(deployment)}:
                self._settled[model] = known

    def _note(self, deployment: Deployment, rollout: Rollout | None) -> Known:
        """Keep what is known of a model, for a start while the registry is away."""
        model, known = deployment.model, Known(deployment, rollout)
        if known != self._known.get(model):
            self._known[model] = known
            try:
                self._last_known.note(known)
            except StorageError:  # a full disk must not keep a rollback from coming into force
                logger.exception("the deployment of %s is in force, and would not be known after a restart", model)
        return known

    def _rollout(self, model: str, found: Rollout | UnreadableError | None) -> Rollout | None:
        """Return the running rollout, or the last known one if it is unreadable: a rollback still comes into force."""
        if not isinstance(found, UnreadableError):
            self._unreadable.pop(model, None)
            return found
        if self._unreadable.get(model) != str(found):
            self._unreadable[model] = str(found)
            logger.error("the fuse uses the rollout as it was last known: %s", found)
        return self._known[model].rollout if model in self._known else None

    def _put_in_force(self, known: Known) -> bool:
        """Put in force the part of a deployment that is in memory; return whether that is all of it."""
        wanted, model = known.deployment, known.deployment.model
        current = self._in_force.get(model)
        champion_now = current.deployment.champion if current is not None else None
        names = {name: None for name in (*_roles(wanted), champion_now) if name is not None}
        versions = {name: loaded for name in names if (loaded := self._loader.ready(model, name)) is not None}
        with self._changing:
            deployment = without(reachable(wanted, versions, champion_now), self._cut_off)
            unavailable = self._unavailable(wanted) if deployment.champion is None else None
            in_force = InForce(deployment, versions, known.rollout, self._slow_limit(known), unavailable)
            self._in_force[model] = in_force
        self._telemetry.begin(model, in_force.arms)
        self._loader.forget(model, {*names, *self._named.get(model, ())})
        return deployment == wanted

    def _slow_limit(self, known: Known) -> float:
        if known.rollout is not None:
            return known.rollout.policy.slow_ms
        return self._slow_ms.get(known.deployment.model, DEFAULT_SLOW_MS)

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


def _rolls_out(deployment: Deployment | UnreadableError) -> bool:
    return isinstance(deployment, Deployment) and bool(deployment.canary or deployment.shadows)


def _roles(deployment: Deployment) -> list[str]:
    """Return the versions to keep in memory, in order of loading: champion, previous champion, canary, shadows."""
    roles = (deployment.champion, deployment.previous, deployment.canary, *deployment.shadows)
    return [name for name in roles if name is not None]
