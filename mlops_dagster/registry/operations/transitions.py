"""Deployments, and the transitions of versions that change them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from sqlalchemy import Connection

from mlops_dagster.clock import SystemClock
from mlops_dagster.database import looking, reading, writing
from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import InvalidInputError, TransitionError
from mlops_dagster.registry.entities.deployment_changes import enter, release, reweigh, roll_back, withdraw
from mlops_dagster.registry.entities.entities import Acknowledgement, Deployment, ModelVersion
from mlops_dagster.registry.entities.semantic_version import final_of, parse_version
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.operations.approvals import Promotion
from mlops_dagster.registry.stores import sql

WORKER_ALIVE = timedelta(seconds=90)
"""A worker that has not said for so long that it is there is gone, or cut off from the registry."""
_LEAVE_SECONDS = 2.0  # a worker that ends waits no longer for a database that hangs
_WORKER_FORGOTTEN = timedelta(days=1)


class Traffic(Promotion):
    """Changes of a model's deployment, by compare-and-set on its epoch."""

    def champion(self, model: str) -> ModelVersion | None:
        """Return the champion of `model`; None if it has none. Raises ModelNotFoundError."""
        with looking(self._engine) as connection:
            champion = sql.find_champion(connection, model)
            if champion is None:
                sql.read_deployment(connection, model)
            return champion

    def deployment(self, model: str) -> Deployment:
        """Return the present deployment of `model`; raises ModelNotFoundError."""
        with looking(self._engine) as connection:
            return sql.read_deployment(connection, model)

    def transition(
        self,
        version: ModelVersion,
        stage: Stage | str,
        *,
        reason: str = "",
        evidence: Mapping[str, object] | None = None,
        weight: float | None = None,
        expected_epoch: int | None = None,
        force: bool = False,
        watched: bool = False,
    ) -> ModelVersion:
        """Move a version to another stage; into production only through the gates.

        A new champion sends the old one to Deprecated, where `rollback` finds it, and another canary to Registered.
        A `watched` new champion keeps the old one as a shadow instead, to be compared with and to roll back to.
        A pre-release enters production as its final version, with the same bytes, and that version is returned.
        A canary needs a `weight`.

        `expected_epoch` is the epoch of the deployment that the decision was based on; by default the present one.
        `force` enters production past the gates, needs a reason, and appends an event that names the closed gates.
        Raises EpochConflictError if another change came first (it is never retried), TransitionError, and the error of
        the first closed gate.
        """
        to = Stage.parse(stage)
        if force and (to is not Stage.PRODUCTION or not plain(reason)):
            raise InvalidInputError("force is for entering production past its gates, and needs a reason")
        if watched and to is not Stage.PRODUCTION:
            raise InvalidInputError(f"only a new champion is watched by the old one, not a version that enters {to}")
        epoch = self.deployment(version.model).epoch if expected_epoch is None else expected_epoch
        with self._changing(version.model, reason, evidence) as ledger:
            before = ledger.deployment(epoch)
            current = sql.read_version(ledger.connection, version.model, version.version)
            change = enter(before, current.version, current.stage, to, weight, watched)
            entered = current
            if to is Stage.PRODUCTION:
                self._pass_gates(ledger, current, force=force)
                name = final_of(current.version)
                if name != current.version:
                    entered = ledger.register_final(current, name)
                    change = release(before, current.version, current.stage, name, entered.stage, watched)
            ledger.apply(before, change)
            bad = entered.rolled_back and to is not Stage.PRODUCTION
            return replace(entered, stage=to, reason=reason, rolled_back=bad)

    def set_canary_weight(
        self,
        model: str,
        weight: float,
        *,
        expected_epoch: int,
        reason: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> Deployment:
        """Set the share of traffic of the running canary; raises EpochConflictError, TransitionError."""
        with self._changing(model, reason, evidence) as ledger:
            before = ledger.deployment(expected_epoch)
            return ledger.reweigh(before, reweigh(before, weight))

    # `withdraw` and `rollback` decide inside the write transaction: no other change can come between, so they never
    # conflict, and never need a retry.

    def withdraw(
        self, version: ModelVersion, *, reason: str, evidence: Mapping[str, object] | None = None
    ) -> Deployment:
        """Take a canary or shadow that was found bad out of service; repeating it changes nothing.

        Raises TransitionError if the version has become champion: that needs `rollback`.
        """
        with self._changing(version.model, reason, evidence, urgent=True) as ledger:
            before = ledger.deployment()
            stage = sql.read_stage(ledger.connection, version.model, version.version)
            if stage is Stage.DEPRECATED and version.version in sql.rolled_back(ledger.connection, version.model):
                return before
            return ledger.apply(before, withdraw(before, version.version))

    def rollback(
        self,
        model: str,
        *,
        reason: str,
        to: str | None = None,
        bad: str | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> Deployment:
        """Replace the present champion, found bad, by the previous champion or by the former champion `to`.

        A running canary goes back to Registered. Each call goes one champion further back; name the `bad` champion to
        make sure that two calls (two people, a retried job) roll back only once. Raises TransitionError if no champion
        is left.
        """
        with self._changing(model, reason, evidence, urgent=True) as ledger:
            before = ledger.deployment()
            if bad is not None and before.champion != str(parse_version(bad)):
                return before
            target = before.previous if to is None else str(parse_version(to))
            if target is None:
                raise TransitionError(
                    f"{model} has no earlier champion that was not rolled back itself; promote a good version"
                )
            if target == before.champion:
                return before
            if target not in sql.champions(ledger.connection, model):
                sql.read_stage(ledger.connection, model, target)
                raise TransitionError(
                    f"{model} {target} never was champion, so it never passed the gates; use transition for that"
                )
            return ledger.apply(before, roll_back(before, target))

    def note(self, version: ModelVersion, done: Literal["paused", "resumed"], *, reason: str) -> None:
        """Append an event that a person paused or resumed the rollout of `version`; the deployment stays."""
        with self._changing(version.model, reason) as ledger:
            ledger.record_event(done, version.version)

    def note_not_loaded(self, model: str, version: str, *, why: str) -> None:
        """Append an event that the data plane tried repeatedly and cannot load a version; once in each stage."""
        with self._changing(model, why, urgent=True) as ledger:
            if _why_not_loaded(ledger.connection, model, version) is None:
                ledger.record_event("not_loaded", version)

    def why_not_loaded(self, model: str, version: str) -> str | None:
        """Return the reason why the data plane cannot load the version, if noted in its present stage; else None."""
        with looking(self._engine) as connection:
            return _why_not_loaded(connection, model, version)

    def acknowledge(self, model: str, process: str, epoch: int) -> None:
        """Record that the worker `process` serves the deployment of `epoch` from now on; no-op if repeated."""
        with writing(self._engine) as connection:
            sql.acknowledge(connection, model, Acknowledgement(process, epoch, SystemClock().now()))

    def acknowledgements(self, model: str) -> "list[Acknowledgement]":
        """Return the time from which each process served each epoch, oldest first."""
        with reading(self._engine) as connection:
            return sql.acknowledged(connection, model)

    def beat(self, process: str) -> None:
        """Say that the worker `process` is there, as it does several times within `WORKER_ALIVE`."""
        now = SystemClock().now()
        with writing(self._engine) as connection:
            sql.see_worker(connection, process, now, forget_before=now - _WORKER_FORGOTTEN)

    def leave(self, process: str) -> None:
        """Say that the worker `process` has ended, so that it is not waited for."""
        with writing(self._engine, patience=_LEAVE_SECONDS) as connection:
            sql.remove_worker(connection, process)

    def workers(self) -> set[str]:
        """Return the processes of the workers that are there: each has said so within `WORKER_ALIVE`."""
        with reading(self._engine) as connection:
            return sql.workers_seen(connection, SystemClock().now() - WORKER_ALIVE)


def _why_not_loaded(connection: Connection, model: str, version: str) -> str | None:
    last = sql.last_of_kinds(connection, model, ("not_loaded", "transition", "rollback"), version)
    return last.reason if last is not None and last.kind == "not_loaded" else None
