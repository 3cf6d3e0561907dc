"""Reports to the registry of versions that the data plane refuses to load, and the consequences for them.

A challenger is taken out. A champion is kept, though it does not answer: a warm previous champion answers in its place,
if there is one. Only a champion that killed workers repeatedly is rolled back to the previous champion, and not if
it was itself the result of such a rollback.
"""

import logging
import math
from typing import Final

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.errors import StorageError, TransitionError, TrialFailedError
from mlops_dagster.registry import Deployment, ModelVersion
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

RULE: Final = Rule.VERSION_REFUSED
NOT_LOADABLE: Final = "not loadable: "
CHAMPION_DEATHS: Final = 3
"""The number of workers that a champion must have killed to be refused; for a challenger one proof or two
suspicions suffice."""


class Reporter:
    """A reporter to the registry and the people on call; a repeated report changes nothing."""

    def __init__(self, stores: Stores, last_known: RegistryCache) -> None:
        self._stores = stores
        self._last_known = last_known
        self._told: set[tuple[str, str]] = set()

    def deaths_allowed(self, entry: ModelVersion) -> float:
        """Return the number of workers that this version may have killed and still be loaded."""
        known = self._last_known.deployment(entry.model)
        if known is None or known.deployment.champion != entry.version:
            return 0
        return math.inf if _resort(entry, known.deployment) is None else CHAMPION_DEATHS - 1

    def refused(self, model: str, version: str, error: TrialFailedError) -> None:
        """Take out a version that failed its trial or killed workers; do nothing while the registry is away."""
        try:
            # In this order: of a version that another worker takes out in between, the entry says so.
            deployment, entry = self._stores.registry.deployment(model), self._stores.registry.get(model, version)
            done = self._take_out(entry, deployment, error)
            self._alert(entry, deployment, error.message, done)
            self._told.add((model, version))
        except StorageError as away:
            logger.error("the registry cannot be told that %s %s is refused: %s", model, version, away)

    def kills(self, entry: ModelVersion, why: str) -> None:
        """Report a champion that is loaded although it killed workers: too few yet, or there is none to go back to."""
        try:
            deployment = self._stores.registry.deployment(entry.model)
            self._alert(entry, deployment, f"{entry.version} is loaded again, although {why}", "nothing")
        except StorageError as away:
            logger.error("no alert can be opened that %s %s kills workers: %s", entry.model, entry.version, away)

    def not_loaded(self, model: str, version: str, why: str) -> None:
        """Record in the registry, permanently, that a version cannot be loaded."""
        try:
            self._stores.registry.note_not_loaded(model, version, why=why)
        except StorageError as away:
            logger.error("the registry cannot be told that %s %s is not loadable: %s", model, version, away)

    def loaded(self, model: str, version: str) -> None:
        """Resolve the alert of a version that was refused before and is loaded now."""
        if (model, version) not in self._told:
            return
        self._told.discard((model, version))
        try:
            self._stores.alerts.resolve(model, RULE, f"{version} is loaded", subject=version)
        except StorageError as away:
            logger.error("the alert of %s %s is not resolved: %s", model, version, away)

    def _alert(self, entry: ModelVersion, deployment: Deployment, summary: str, done: str) -> None:
        champion = entry.version == deployment.champion
        severity = Severity.CRITICAL if champion else Severity.WARNING
        version = entry.version
        self._stores.alerts.report(entry.model, RULE, severity, summary, subject=version, version=version, done=done)

    def _take_out(self, entry: ModelVersion, deployment: Deployment, error: TrialFailedError) -> str:
        """Take out a challenger, roll back a champion that kills workers, or record the error; return what was done."""
        model, version, registry = entry.model, entry.version, self._stores.registry
        reason, gone = f"{NOT_LOADABLE}{error}", "it was taken out, and the champion answers"
        if entry.rolled_back:  # another worker was quicker
            return gone
        try:
            if version in (deployment.canary, *deployment.shadows) and version != deployment.previous:
                registry.withdraw(entry, reason=reason)
                return gone
            resort = _resort(entry, deployment)
            if error.deaths and version == deployment.champion and resort is not None:
                registry.rollback(model, reason=reason, to=resort, bad=version)
                return gone
        except TransitionError as changed:
            if registry.get(model, version).rolled_back:
                return gone
            logger.warning("%s %s has changed its stage meanwhile: %s", model, version, changed)
        registry.note_not_loaded(model, version, why=error.message)
        if version == deployment.champion and deployment.previous is not None:
            return f"{deployment.previous} answers in its place where that is in memory"
        return "nothing"


def _resort(entry: ModelVersion, deployment: Deployment) -> str | None:
    """Return the previous champion to go back to from `entry`; None if `entry` is one that was gone back to.

    If both kill workers, the cause is in the requests.
    """
    return None if entry.reason.startswith(NOT_LOADABLE) else deployment.previous
