"""Writes of versions, deployment and events, in the transaction of the caller."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from mlops_dagster.clock import SystemClock, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.errors import EpochConflictError, InvalidNameError, VersionExistsError
from mlops_dagster.names import fold_model
from mlops_dagster.registry.entities.deployment_changes import Change, Move, empty, finalize, guard
from mlops_dagster.registry.entities.entities import Deployment, EventKind, ModelVersion
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.event_log import EventLog
from mlops_dagster.registry.stores.rows import deployment_row, fingerprint, version_row


@dataclass(frozen=True)
class Ledger:
    """The writes for one model by one actor, at one time by the registry's clock."""

    connection: Connection
    log: EventLog
    model: str
    actor: str
    at: datetime
    reason: str = ""
    evidence: Mapping[str, object] | None = None

    def deployment(self, expected_epoch: int | None = None) -> Deployment:
        """Return the present deployment; raises EpochConflictError if its epoch is not `expected_epoch`."""
        found = sql.read_deployment(self.connection, self.model)
        if expected_epoch is not None and found.epoch != expected_epoch:
            raise EpochConflictError(
                f"{self.model} is at epoch {found.epoch} (champion {found.champion}, canary {found.canary}), not at "
                f"{expected_epoch}: it was changed meanwhile; look at it again and decide anew"
            )
        return found

    def register(self, version: ModelVersion) -> ModelVersion:
        """Insert `version`, or find it there with the same bytes, and return it; raises VersionExistsError for others.

        Raises InvalidNameError for a name that some store cannot tell from an existing one.
        """
        existing = sql.find_version(self.connection, self.model, version.version)
        if existing is None:
            self._check_names(version.version)
            self._register(version)
            return version
        if existing.digest != version.digest:
            raise VersionExistsError(
                f"{self.model} {version.version} is registered with other bytes ({existing.digest}, not "
                f"{version.digest}); a version never changes: register these under another one"
            )
        return existing

    def register_final(self, candidate: ModelVersion, name: str) -> ModelVersion:
        """Register the bytes of a pre-release under its final version; raises VersionExistsError."""
        lineage = {**candidate.lineage, "pre_release": candidate.version}
        final = replace(candidate, version=name, created_at=self.at, lineage=lineage)
        return self.register(replace(final, stage=Stage.REGISTERED, rolled_back=False, reason=""))

    def attach_card(self, version: ModelVersion) -> None:
        """Replace the stored card of the version, and append the event "card"."""
        row = version_row(version)
        sql.set_card(self.connection, row)
        self._event("card", version.version, None, None, self.deployment(), {"card": fingerprint(row)["card"]})

    def apply(self, before: Deployment, change: Change) -> Deployment:
        """Move the versions between stages, save the deployment, and append an event for each move."""
        origins = sql.stages(self.connection, self.model, [move.version for move in change.moves])
        for move in change.moves:
            judged = move.kind == "rollback" or move.to is Stage.PRODUCTION
            bad = move.kind == "rollback" if judged else None
            sql.move_version(self.connection, self.model, move.version, move.to, self._reason(move), bad)
        after = self._settled(before, change.deployment)
        for move in change.moves:
            self._event(move.kind, move.version, origins[move.version], move.to, after, reason=self._reason(move))
        return after

    def _reason(self, move: Move) -> str:
        return ": ".join(filter(None, (move.because, self.reason)))

    def reweigh(self, before: Deployment, after: Deployment) -> Deployment:
        """Save a deployment with another canary weight, and append the event "weight"."""
        after = self._settled(before, after)
        self._event("weight", after.canary, None, None, after)
        return after

    def change_deployment(self, kind: EventKind, before: Deployment, after: Deployment) -> Deployment:
        """Save a deployment change that moves no version between stages, and append its event; no-op if equal."""
        if after == before:
            return before
        after = self._settled(before, after)
        self._event(kind, None, None, None, after)
        return after

    def record_event(self, kind: EventKind, version: str | None, evidence: Mapping[str, object] | None = None) -> None:
        """Append an event that changes neither versions nor the deployment."""
        self._event(kind, version, None, None, self.deployment(), evidence)

    def publish_policies(self, evidence: Mapping[str, object], policy: GuardPolicy, reason: str) -> None:
        """Append the event "policies", and set the deployment's guard; a model without a version has none yet."""
        before = sql.find_deployment(self.connection, self.model)
        after = guard(empty(self.model, self.at) if before is None else before, policy)
        if before is not None and after != before:
            after = self._settled(before, after)
        self._event("policies", None, None, None, after, evidence, reason)

    def _register(self, version: ModelVersion) -> None:
        deployment = sql.find_deployment(self.connection, self.model)
        if deployment is None:
            published = sql.last_policies(self.connection, self.model)
            deployment = empty(self.model, self.at)
            if published is not None:
                deployment = guard(deployment, published.deployment.guard)
            sql.insert_deployment(self.connection, deployment)
        row = version_row(version)
        sql.insert_version(self.connection, row)
        self._event("registered", version.version, None, Stage.REGISTERED, deployment, fingerprint(row))

    def _check_names(self, version: str) -> None:
        for model in sql.model_names(self.connection):
            if model != self.model and fold_model(model) == fold_model(self.model):
                raise InvalidNameError(
                    f"{self.model!r} is one name with {model!r}, which is registered, to Dagster or to a file system "
                    "without case; choose one that differs in more than case, '-' and '_'"
                )
        for other in sql.version_names(self.connection, self.model):
            if other.lower() == version.lower():
                raise InvalidNameError(
                    f"{self.model} {version} differs from {other}, which is registered, in case only; "
                    "choose another version"
                )

    def _settled(self, before: Deployment, after: Deployment) -> Deployment:
        champions = sql.champions(self.connection, self.model)
        after = finalize(before, after, champions, sql.rolled_back(self.connection, self.model), self.at)
        sql.save_deployment(self.connection, after)
        return after

    def _event(
        self,
        kind: EventKind,
        version: str | None,
        origin: Stage | None,
        to: Stage | None,
        deployment: Deployment,
        evidence: Mapping[str, object] | None = None,
        reason: str | None = None,
    ) -> None:
        self.log.append(
            {
                "model": self.model,
                "version": version,
                "kind": kind,
                "from_stage": origin and origin.value,
                "to_stage": to and to.value,
                "actor": self.actor,
                "reason": self.reason if reason is None else reason,
                "evidence": json_text({**(self.evidence or {}), **(evidence or {})}),
                "epoch": deployment.epoch,
                "at": time_text(self.at),
                "recorded_at": time_text(SystemClock().now()),
                "deployment": json_text(deployment_row(deployment)),
            },
        )
