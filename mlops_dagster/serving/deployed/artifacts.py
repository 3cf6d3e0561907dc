"""Artifacts of versions as the data plane fetches them: without the registry's database."""

import contextlib
import tempfile
from pathlib import Path

from mlops_dagster.errors import ArtifactNotFoundError, CorruptedArtifactError
from mlops_dagster.registry import ContentStore, LocalBlobs, ModelVersion
from mlops_dagster.registry.artifacts import FOLDER, open_store
from mlops_dagster.registry.operations.fetching import fetch
from mlops_dagster.settings import Settings


class Artifacts:
    """A fetcher of verified artifacts; it keeps copies of artifacts on S3 in the home, for times when S3 is away."""

    def __init__(self, settings: Settings) -> None:
        self._trusted_key = settings.trusted_key
        self._store = ContentStore(open_store(settings.storage, anchors="")[0])
        self._copies = LocalBlobs(settings.home / "copies") if settings.storage_url is not None else None

    def fetch(self, version: ModelVersion, destination: Path) -> Path:
        """Put the artifact at `destination`. Raises StorageError, CorruptedArtifactError, SignatureError and so on."""
        if self._copies is None:
            return fetch(self._store, version, destination, self._trusted_key)
        copies = ContentStore(self._copies, allow_unsafe=True)  # its safety was checked when it was registered
        with contextlib.suppress(ArtifactNotFoundError, CorruptedArtifactError):
            return fetch(copies, version, destination, self._trusted_key)
        self.forget(version)
        with tempfile.TemporaryDirectory() as folder:
            copies.put(self._store.fetch(version.digest, Path(folder, "model")))
        return fetch(copies, version, destination, self._trusted_key)

    def forget(self, version: ModelVersion) -> None:
        """Remove the copy of a version, if any; files that another version shares with it are fetched again later."""
        if self._copies is None:
            return
        with contextlib.suppress(ArtifactNotFoundError, CorruptedArtifactError):
            if version.digest.startswith(FOLDER):
                for digest in ContentStore(self._copies).files(version.digest).values():
                    self._copies.remove(digest)
        self._copies.remove(version.digest)
