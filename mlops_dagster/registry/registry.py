"""The SDK: versions of models, who serves them, and how that came about."""

import getpass
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from mlops_dagster.clock import Clock, SystemClock, in_utc
from mlops_dagster.database import open_sqlite, reading, writing
from mlops_dagster.errors import IncompleteCardError, TransitionError
from mlops_dagster.registry import estimators
from mlops_dagster.registry.anchors import Anchors
from mlops_dagster.registry.artifacts import ContentStore, LocalContentStore
from mlops_dagster.registry.audit import audit
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.deployments import empty, enter, release, reweigh, roll_back, withdraw
from mlops_dagster.registry.entities import Acknowledgement, AuditHead, Deployment, Event, ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.ledger import Ledger
from mlops_dagster.registry.locations import local_path, locate
from mlops_dagster.registry.policy import GatePolicy, check_gates
from mlops_dagster.registry.stages import Stage
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.tables import TABLES
from mlops_dagster.registry.versions import check_name, final_of, next_patch, parse_version
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings


class ModelRegistry:
    """Versions, deployments and their history, on SQLite and a local content store.

    `uri` is `sqlite:///path` or nothing, for the home in the settings. `gates` are the gates of production,
    for all models or by model; a model that is not named has the defaults. `actor` is who writes; else the OS user.
    Any number of processes and threads may use registries on one home.
    Raises HomeNotWritableError, StorageError, and InvalidInputError for another kind of URI.

    >>> with tempfile.TemporaryDirectory() as home:
    ...     artifact = Path(home, "model.onnx")
    ...     _ = artifact.write_bytes(b"...")
    ...     registry = ModelRegistry(f"sqlite:///{home}/mlops.sqlite")
    ...     version = registry.register("classifier-prod", artifact, "v2.4.1", tags={"env": "prod"})
    ...     shadow = registry.transition(version, "Shadow", reason="looks good")
    ...     registry.deployment("classifier-prod").shadows
    ('2.4.1',)
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        actor: str | None = None,
        gates: GatePolicy | Mapping[str, GatePolicy] | None = None,
    ) -> None:
        place = locate(uri, settings)
        self._engine = open_sqlite(place.database)
        self._artifacts: ContentStore = LocalContentStore(place.artifacts, allow_unsafe=place.allow_unsafe)
        self._anchors = Anchors(place.artifacts / "anchors" / place.database.stem)
        self._clock = clock or SystemClock()
        self._actor = actor or _os_user()
        self._gates = gates or {}
        with writing(self._engine) as connection:
            TABLES.create_all(connection)

    def close(self) -> None:
        """Close the connections to the database; the next call opens them again."""
        self._engine.dispose()

    # Versions

    def register(
        self,
        model_name: str,
        artifact_uri: str | Path | Estimator,
        version: str | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        card: ModelCard | None = None,
        baseline: Baseline | None = None,
        schema: ModelSchema | None = None,
        metrics: Mapping[str, float] | None = None,
        lineage: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Store a file, folder or estimator and give it a version: the next patch if none is named.

        A version that is there with the same bytes is returned as it is; with others, VersionExistsError is raised.
        Raises InvalidNameError, InvalidVersionError, ArtifactNotFoundError, UnsafeArtifactError and InvalidInputError.
        """
        check_name(model_name)
        named = None if version is None else str(parse_version(version))
        digest = self._put(artifact_uri)
        with self._writing() as connection:
            name = named or next_patch(sql.version_names(connection, model_name))
            entry = ModelVersion(
                model=model_name,
                version=name,
                digest=digest,
                stage=Stage.REGISTERED,
                created_at=self._clock.now(),
                schema=schema,
                card=card,
                baseline=baseline,
                metrics=dict(metrics or {}),
                tags=dict(tags or {}),
                lineage=dict(lineage or {}),
                description=description,
            )
            return self._ledger(connection, model_name).register(entry)

    def attach_card(self, version: ModelVersion, card: ModelCard) -> ModelVersion:
        """Give the version its card, or another one; the champion's must be complete (IncompleteCardError)."""
        with self._writing() as connection:
            entry = replace(sql.read_version(connection, version.model, version.version), card=card)
            if entry.stage is Stage.PRODUCTION and card.missing():
                raise IncompleteCardError(
                    f"{entry.model} {entry.version} is in production: no version is without a complete model card, "
                    f"and {', '.join(card.missing())} is missing; attach a card that has it"
                )
            self._ledger(connection, entry.model).attach_card(entry)
            return entry

    def get(self, model: str, version: str) -> ModelVersion:
        """One version; raises ModelNotFoundError, VersionNotFoundError, InvalidVersionError."""
        with reading(self._engine) as connection:
            return sql.read_version(connection, model, str(parse_version(version)))

    def models(self) -> "list[str]":
        """The names of all models, sorted."""
        with reading(self._engine) as connection:
            return sql.model_names(connection)

    def champion(self, model: str) -> ModelVersion | None:
        """Who answers the model's requests; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            name = sql.read_deployment(connection, model).champion
            return None if name is None else sql.read_version(connection, model, name)

    def fetch(self, version: ModelVersion, destination: str | Path) -> Path:
        """A verified copy of the artifact, at `destination`; raises CorruptedArtifactError and leaves nothing there."""
        return self._artifacts.fetch(version.digest, Path(destination))

    def load(self, version: ModelVersion) -> Estimator:
        """The estimator, from verified bytes; raises CorruptedArtifactError, UnsafeArtifactError, InvalidInputError."""
        with tempfile.TemporaryDirectory() as folder:
            return estimators.load(self.fetch(version, Path(folder, "model")))

    # Deployments

    def deployment(self, model: str) -> Deployment:
        """Who answers now; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            return sql.read_deployment(connection, model)

    def as_of(self, model: str, when: datetime) -> Deployment:
        """Who answered at `when`, by the registry's clock; nobody (epoch 0) before the first version."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            event = sql.last_event(connection, model, in_utc(when))
            return empty(model, in_utc(when)) if event is None else event.deployment

    def transition(
        self,
        version: ModelVersion,
        stage: Stage | str,
        *,
        reason: str = "",
        evidence: Mapping[str, object] | None = None,
        weight: float | None = None,
        expected_epoch: int | None = None,
        gates: GatePolicy | None = None,
    ) -> ModelVersion:
        """Move a version to another stage; into production only through the gates.

        A new champion sends the old one to Deprecated, where `rollback` finds it, and another canary to Registered.
        A pre-release enters production as its final version, with the same bytes, and that version is returned.
        A canary needs a `weight`.

        `expected_epoch` is that of the deployment the decision was based on; else the one at the time of the call.
        Raises EpochConflictError if somebody was quicker (never tried again), TransitionError, IncompleteCardError,
        QualityGateError.
        """
        to = Stage.parse(stage)
        epoch = self.deployment(version.model).epoch if expected_epoch is None else expected_epoch
        with self._writing() as connection:
            ledger = self._ledger(connection, version.model, reason, evidence)
            before = ledger.deployment(epoch)
            current = sql.read_version(connection, version.model, version.version)
            change = enter(before, current.version, current.stage, to, weight)
            entered = current.version
            if to is Stage.PRODUCTION:
                check_gates(current, gates or self._gates_of(current.model))
                entered = final_of(current.version)
                if entered != current.version:
                    final = ledger.register_final(current, entered)
                    change = release(before, current.version, current.stage, final.version, final.stage)
            ledger.apply(before, change)
            return sql.read_version(connection, version.model, entered)

    def set_canary_weight(
        self,
        model: str,
        weight: float,
        *,
        expected_epoch: int,
        reason: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> Deployment:
        """Give the running canary another share of the traffic; raises EpochConflictError, TransitionError."""
        with self._writing() as connection:
            ledger = self._ledger(connection, model, reason, evidence)
            before = ledger.deployment(expected_epoch)
            return ledger.reweigh(before, reweigh(before, weight))

    # `withdraw` and `rollback` decide inside the write transaction: nobody can be quicker, so there is no conflict
    # to lose to, and nothing to try again.

    def withdraw(
        self, version: ModelVersion, *, reason: str, evidence: Mapping[str, object] | None = None
    ) -> Deployment:
        """Take a canary or shadow that was found bad out of service; again changes nothing.

        Raises TransitionError if it has become champion: that is for `rollback`.
        """
        with self._writing() as connection:
            ledger = self._ledger(connection, version.model, reason, evidence)
            before = ledger.deployment()
            stage = sql.read_stage(connection, version.model, version.version)
            if stage is Stage.DEPRECATED and version.version in sql.rolled_back(connection, version.model):
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
        """Put the previous champion, or the former champion `to`, back in place of the present one, found bad.

        A running canary goes back to Registered. Each call goes one further back; name the `bad` champion to make sure
        that two calls (two people, a retried job) roll it back once. Raises TransitionError if there is nowhere to go.
        """
        with self._writing() as connection:
            ledger = self._ledger(connection, model, reason, evidence)
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
            if target not in sql.champions(connection, model):
                sql.read_stage(connection, model, target)
                raise TransitionError(
                    f"{model} {target} never was champion, so it never passed the gates; use transition for that"
                )
            return ledger.apply(before, roll_back(before, target))

    def acknowledge(self, model: str, process: str, epoch: int) -> None:
        """The worker `process` serves the deployment of `epoch` from now on; saying it again changes nothing."""
        with writing(self._engine) as connection:
            sql.acknowledge(connection, model, Acknowledgement(process, epoch, SystemClock().now()))

    def acknowledgements(self, model: str) -> "list[Acknowledgement]":
        """When each process began to serve each epoch it served, oldest first: "in force since" is a fact."""
        with reading(self._engine) as connection:
            return sql.acknowledged(connection, model)

    # History

    def history(self, model: str) -> "list[Event]":
        """Every event, oldest first; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            return sql.history(connection, model)

    def audit(self) -> AuditHead:
        """Check every event against the chain and the heads noted outside, and every row against the events.

        Raises AuditError naming the first row that is not as it was written.
        """
        with reading(self._engine) as connection:
            return audit(connection, self._anchors.read())

    def list(self, model: str) -> "list[ModelVersion]":
        """Every version of the model in order of registration; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            return sql.model_versions(connection, model)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with writing(self._engine) as connection:
            yield connection
            event, head = sql.head(connection)
        self._anchors.note(event, head)

    def _ledger(
        self, connection: Connection, model: str, reason: str = "", evidence: Mapping[str, object] | None = None
    ) -> Ledger:
        return Ledger(connection, model, self._actor, self._clock.now(), reason, evidence)

    def _gates_of(self, model: str) -> GatePolicy:
        return self._gates if isinstance(self._gates, GatePolicy) else self._gates.get(model, GatePolicy())

    def _put(self, artifact: str | Path | Estimator) -> str:
        if isinstance(artifact, str | os.PathLike):
            return self._artifacts.put(local_path(artifact))
        with tempfile.TemporaryDirectory() as folder:
            return self._artifacts.put(estimators.save(artifact, Path(folder, "model.skops")))


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"uid:{os.getuid()}"
