"""Versions: bytes under a name that never change, with all that is known about them."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops_dagster.errors import ArtifactChangedError, IncompleteCardError
from mlops_dagster.registry import estimators
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities import ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.sources import open_source, pin
from mlops_dagster.registry.stages import Stage
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.versions import check_name, next_patch, parse_version
from mlops_dagster.schema import ModelSchema


class Versioning(Session):
    """Register, describe, find and fetch versions."""

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

        The artifact is a local path, an s3:// URL, `runs:/` or `models:/` of MLflow, or a fitted estimator.
        A version that is there with the same bytes is returned as it is; with others, VersionExistsError is raised.
        Raises InvalidNameError, InvalidVersionError, ArtifactNotFoundError, ArtifactChangedError, UnsafeArtifactError,
        InvalidInputError, StorageError and ServerError; then there is no new version.
        """
        check_name(model_name)
        named = None if version is None else str(parse_version(version))
        artifact, origin = pin(artifact_uri, self._place.catalogue)
        with open_source(artifact, self._place.catalogue, self._s3) as path:
            digest = self._content.put(path)
        with self._writing() as connection:
            # A cleaner of orphans may have found the bytes unnamed until now; it works in a write transaction as well.
            if not self._content.has(digest):
                raise ArtifactChangedError(f"the bytes of {model_name} were removed as an orphan; register them again")
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
                lineage={**origin, **(lineage or {})},
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
        with self._reading() as connection:
            return sql.read_version(connection, model, str(parse_version(version)))

    def models(self) -> "list[str]":
        """The names of all models, sorted."""
        with self._reading() as connection:
            return sql.model_names(connection)

    def fetch(self, version: ModelVersion, destination: str | Path) -> Path:
        """A verified copy of the artifact, at `destination`; raises CorruptedArtifactError and leaves nothing there."""
        return self._content.fetch(version.digest, Path(destination))

    def load(self, version: ModelVersion) -> Estimator:
        """The estimator, from verified bytes; raises CorruptedArtifactError, UnsafeArtifactError, InvalidInputError."""
        with tempfile.TemporaryDirectory() as folder:
            return estimators.load(self.fetch(version, Path(folder, "model")))

    def list(self, model: str) -> "list[ModelVersion]":
        """Every version of the model in order of registration; raises ModelNotFoundError."""
        with self._reading() as connection:
            sql.read_deployment(connection, model)
            return sql.model_versions(connection, model)
