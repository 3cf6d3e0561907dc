"""What the registry asks of a place for artifacts."""

from pathlib import Path
from typing import Protocol


class ContentStore(Protocol):
    """Keeps files and folders under the digest of their content; what was put is never changed.

    The digest of a file is its SHA-256. A folder's is `folder-` and the SHA-256 of its manifest, which
    names the digest of every file in it; empty folders, links and file modes are not part of it.
    """

    def put(self, path: Path) -> str:
        """Copy the file or folder in, durably, and return its digest. Putting the same bytes again is free.

        Raises ArtifactNotFoundError, InvalidInputError (links and other special files), UnsafeArtifactError
        (pickle and its relatives), CorruptedArtifactError (other bytes are kept under this digest), StorageError.
        """
        ...

    def fetch(self, digest: str, destination: Path) -> Path:
        """Copy what has `digest` to `destination` and return that; nothing appears there unless every byte is right.

        Raises ArtifactNotFoundError, CorruptedArtifactError, InvalidInputError (destination in use) and StorageError.
        """
        ...
