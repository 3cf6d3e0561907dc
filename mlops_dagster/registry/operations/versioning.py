"""Versions: named bytes that never change, with all that is known about them."""

import math
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from mlops_dagster.database import looking, reading
from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    IncompleteCardError,
    InvalidInputError,
    UnreadableError,
)
from mlops_dagster.names import check_model_name
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.entities import ModelVersion
from mlops_dagster.registry.entities.semantic_version import next_patch, parse_version
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.operations import fetching, signing
from mlops_dagster.registry.operations.lineage import (
    ENVIRONMENT,
    code_lineage,
    environment_digest,
    environment_lock,
)
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.sources import open_source, pin
from mlops_dagster.registry.stores import sql
from mlops_dagster.schema import ModelSchema

_TRIES = 3


class Versioning(Session):
    """Registering, describing, finding and fetching of versions."""

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
        """Store a file, folder or estimator as a version; without `version`, as the next patch.

        The artifact is a local path, an s3:// URL, `runs:/` or `models:/` of MLflow, or a fitted estimator.
        It is signed if the settings have a signing key.
        A version with a `schema` can be served, and has a trial first: a process loads it and scores made-up rows,
        drawn from the `baseline` if there is one.
        If the version exists with the same bytes, it is returned unchanged; with others, VersionExistsError is raised.
        Raises InvalidNameError, InvalidVersionError, ArtifactNotFoundError, ArtifactChangedError, UnsafeArtifactError,
        TrialFailedError, InvalidInputError, StorageError and ServerError; then no version was registered.
        """
        check_model_name(model_name)
        named = None if version is None else str(parse_version(version))
        artifact, origin = pin(artifact_uri, self._place.catalogue)
        entry = ModelVersion(
            model=model_name,
            version=named or "",
            digest="",
            stage=Stage.REGISTERED,
            created_at=self._clock.now(),
            schema=schema,
            card=card,
            baseline=baseline,
            metrics=_finite(metrics or {}),
            tags=dict(tags or {}),
            lineage={**origin, **(lineage or {})},
            description=description,
        )
        _check_card(entry)
        self._require_environment(entry)
        task = type(entry.task)
        with open_source(artifact, self._place.catalogue, self._s3, self._settings.own_types, task) as path:
            for _ in range(_TRIES):
                kept = self._keep(path, entry)
                fetching.prove(self._content, self._trials, replace(kept, version=named or self._next(model_name)))
                with self._changing(model_name) as ledger:
                    cleaning = sql.last_cleaning(ledger.connection)
                    if cleaning == self._cleaning:
                        names = sql.version_names(ledger.connection, model_name)
                        _check_kind(ledger.connection, kept, names)
                        name = named or next_patch(names)
                        return ledger.register(replace(kept, version=name, created_at=ledger.at))
                # Until now no version named the bytes, so they may be among the removed orphans: store them once more.
                self._cleaning = cleaning
        raise ArtifactChangedError(f"orphans are removed again and again while {model_name} is registered; wait")

    def attach_card(self, version: ModelVersion, card: ModelCard) -> ModelVersion:
        """Set the version's card; a champion's card must be complete (IncompleteCardError).

        Raises InvalidInputError for a card of another task than the version's.
        """
        with self._changing(version.model) as ledger:
            entry = replace(sql.read_version(ledger.connection, version.model, version.version), card=card)
            _check_card(entry)
            if entry.stage is Stage.PRODUCTION and card.missing():
                raise IncompleteCardError(
                    f"{entry.model} {entry.version} is in production: no version is without a complete model card, "
                    f"and {', '.join(card.missing())} is missing; attach a card that has it"
                )
            ledger.attach_card(entry)
            return entry

    def get(self, model: str, version: str) -> ModelVersion:
        """Return one version; raises ModelNotFoundError, VersionNotFoundError, InvalidVersionError."""
        with looking(self._engine) as connection:
            return sql.read_version(connection, model, str(parse_version(version)))

    def models(self) -> "list[str]":
        """Return the names of all models, sorted."""
        with looking(self._engine) as connection:
            return sql.model_names(connection)

    def fetch(self, version: ModelVersion, destination: str | Path) -> Path:
        """Copy the verified artifact to `destination`, and return that; checks the signature if a trusted key is set.

        Raises CorruptedArtifactError, SignatureError and InvalidInputError; then nothing was written to it.
        """
        return fetching.fetch(self._content, version, Path(destination), self._settings.trusted_key)

    def load(self, version: ModelVersion) -> Estimator:
        """Return the estimator, loaded from verified bytes; raises UnsafeArtifactError, and all that `fetch` raises."""
        return fetching.load(self._content, version, self._settings.trusted_key, self._settings.own_types)

    def code_lineage(self, folder: str | Path = ".") -> dict[str, str]:
        """Return lineage of this process: `commit` and `dirty` of the code in `folder`, `python`, `environment`.

        `environment` is the digest of the list of installed packages, which is stored for the method `environment`.
        Meant for `register(lineage=...)`, which adds none by itself. Facts that cannot be determined are left out.
        Raises StorageError.
        """
        with tempfile.TemporaryDirectory() as workspace:
            lock = Path(workspace, "environment.txt")
            lock.write_text(environment_lock(), encoding="utf-8")
            return {**code_lineage(Path(folder)), ENVIRONMENT: self._content.put(lock)}

    def environment(self, version: ModelVersion) -> str:
        """Return the packages of the process that made the version, as sorted lines `name==version`.

        Raises ArtifactNotFoundError if its lineage names none, CorruptedArtifactError, StorageError.
        """
        digest = environment_digest(version.lineage)
        if digest is None:
            raise ArtifactNotFoundError(
                f"{version.model} {version.version} was registered without `registry.code_lineage()` in its lineage, "
                "so its environment is not known"
            )
        with tempfile.TemporaryDirectory() as workspace:
            return self._content.fetch(digest, Path(workspace, "environment.txt")).read_text(encoding="utf-8")

    def _keep(self, path: Path, entry: ModelVersion) -> ModelVersion:
        """Store the bytes at `path`, and return the entry with their digest and signature."""
        digest, key = self._content.put(path), self._settings.signing_key
        signature = None if key is None else signing.sign(self._content, digest, entry.model, key)
        return replace(entry, digest=digest, signature=signature)

    def _next(self, model: str) -> str:
        """Return the next version of `model` as of now, for errors about a version that has no number yet."""
        with looking(self._engine) as connection:
            return next_patch(sql.version_names(connection, model))

    def _require_environment(self, entry: ModelVersion) -> None:
        digest = environment_digest(entry.lineage)
        if digest is not None and not self._content.has(digest):
            raise ArtifactNotFoundError(
                f"the lineage names the environment {digest}, which is not in the store; ask `code_lineage()` anew"
            )

    def names(self, model: str) -> "list[str]":
        """Return the names of the model's versions in order of registration; empty for an unknown model."""
        with looking(self._engine) as connection:
            return sql.version_names(connection, model)

    def list(self, model: str) -> "list[ModelVersion]":
        """Return every version of the model in order of registration; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            return sql.model_versions(connection, model)


def _check_card(version: ModelVersion) -> None:
    """Raise InvalidInputError if the card is of another kind of task: it would be complete with other measures."""
    card, kind = version.card, version.task.kind
    if card is not None and card.task != kind:
        raise InvalidInputError(
            f"its card is of the task {card.task!r}, and {version.model} is of {kind!r}; write ModelCard(task={kind!r})"
        )


def _check_kind(connection: Connection, version: ModelVersion, names: "list[str]") -> None:
    """Raise InvalidInputError if the version has a task of another kind than the one registered before it.

    Versions of one model are compared by one loss.
    """
    with suppress(UnreadableError):
        before = sql.find_version(connection, version.model, names[-1]) if names else None
        if before is not None and before.schema and version.schema and before.task.kind != version.task.kind:
            raise InvalidInputError(
                f"the task of {version.model} is {before.task.kind!r}, as {before.version} says, and this version's is "
                f"{version.task.kind!r}; versions of one model answer one kind of task: register it as another model"
            )


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics as finite floats, which JSON and every reader can hold; raises InvalidInputError."""
    try:
        found = {name: float(value) for name, value in metrics.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"metrics are numbers by name: {error}") from error
    for name, value in found.items():
        if not math.isfinite(value):
            raise InvalidInputError(f"the metric {name!r} is {value}; give a finite number, or leave it out")
    return found
