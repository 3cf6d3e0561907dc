"""Verified copies of artifacts: from the store alone, so also while the database is away."""

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
    """A verified copy of the artifact at `destination`, signed by the owner of the trusted key if there is one.

    Raises CorruptedArtifactError, ArtifactNotFoundError, SignatureError and InvalidInputError, and leaves nothing
    there.
    """
    with _naming(version):
        if trusted_key is not None:
            signing.verify(content, version, trusted_key)
        return content.fetch(version.digest, destination)


@contextmanager
def _naming(version: ModelVersion) -> Iterator[None]:
    """Name the version in errors of the store, which knows digests only."""
    try:
        yield
    except (CorruptedArtifactError, ArtifactNotFoundError) as error:
        raise type(error)(f"{version.model} {version.version} cannot be fetched: {error.message}") from error


def load(content: ContentStore, version: ModelVersion, trusted_key: Path | None, own_types: Sequence[str]) -> Estimator:
    """Return the estimator, from verified bytes, which may hold `own_types`.

    Raises UnsafeArtifactError, and what `fetch` raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        return estimators.load(fetch(content, version, Path(folder, "model"), trusted_key), own_types)


def subject(version: ModelVersion) -> Subject | None:
    """What a trial of the version is about; None if it has no schema, and so cannot be served."""
    if version.schema is None:
        return None
    baseline = None if version.baseline is None else version.baseline.to_json()
    return Subject(version.model, version.version, version.digest, version.schema, baseline)


def prove(content: ContentStore, trials: Trials, version: ModelVersion) -> None:
    """Try a version that can be served, by the bytes that are kept.

    Raises TrialFailedError, ServerError if the trial cannot be made, and what `fetch` raises.
    """
    tried = subject(version)
    if tried is not None:
        trials.prove(tried, lambda destination: content.fetch(version.digest, destination))
