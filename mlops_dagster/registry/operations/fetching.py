"""Verified copies of artifacts, from the content store alone: they work while the database is away."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import ArtifactNotFoundError, CorruptedArtifactError
from mlops_dagster.registry import estimators
from mlops_dagster.registry.artifacts import ContentStore
from mlops_dagster.registry.entities.entities import ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.operations import signing
from mlops_dagster.trial import Subject, Trials


def fetch(content: ContentStore, version: ModelVersion, destination: Path, trusted_key: Path | None) -> Path:
    """Copy the verified artifact to `destination`, and return that; with `trusted_key`, check its signature first.

    Raises CorruptedArtifactError, ArtifactNotFoundError, SignatureError and InvalidInputError; then nothing was
    written to `destination`.
    """
    with _naming(version):
        if trusted_key is not None:
            signing.verify(content, version, trusted_key)
        return content.fetch(version.digest, destination)


@contextmanager
def _naming(version: ModelVersion) -> Iterator[None]:
    """Add the version's name to errors of the content store, which knows digests only."""
    try:
        yield
    except (CorruptedArtifactError, ArtifactNotFoundError) as error:
        raise type(error)(f"{version.model} {version.version} cannot be fetched: {error.message}") from error


def load(content: ContentStore, version: ModelVersion, trusted_key: Path | None, own_types: Sequence[str]) -> Estimator:
    """Return the estimator, loaded from verified bytes; it may hold `own_types`.

    Raises UnsafeArtifactError, and all that `fetch` raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        return estimators.load(fetch(content, version, Path(folder, "model"), trusted_key), own_types, version.task)


def subject(version: ModelVersion) -> Subject | None:
    """Return the subject of a trial of the version; None if it has no schema and so cannot be served."""
    if version.schema is None:
        return None
    baseline = None if version.baseline is None else version.baseline.to_json()
    return Subject(version.model, version.version, version.digest, version.schema, baseline)


def prove(content: ContentStore, trials: Trials, version: ModelVersion) -> None:
    """Make the trial of a version that can be served, with the stored bytes.

    Raises TrialFailedError, ServerError if the trial cannot be made, and all that `fetch` raises.
    """
    tried = subject(version)
    if tried is not None:
        trials.prove(tried, lambda destination: content.fetch(version.digest, destination))
