"""The protocols of blobs and anchors, which a folder or a bucket implements."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredBlob:
    """The key, size and time of one stored content."""

    key: str
    size: int
    """In bytes."""
    stored_at: datetime


class Blobs(Protocol):
    """A store that keeps each content once, under the SHA-256 of its bytes, and never changes it.

    A key is the SHA-256 in hexadecimal, after a `prefix` that tells kinds of content apart.
    """

    def add(self, file: Path, prefix: str = "") -> str:
        """Copy the bytes of `file` in, durably, and return their key. Adding the same bytes again is free.

        Raises ArtifactChangedError (the file changed meanwhile), CorruptedArtifactError (other bytes are kept under
        this key) and StorageError.
        """
        ...

    def copy(self, key: str, destination: Path) -> None:
        """Write the bytes under `key` to the new file `destination`, and check their SHA-256.

        Raises ArtifactNotFoundError, CorruptedArtifactError, StorageError; part of the file may then exist.
        """
        ...

    def has(self, key: str) -> bool:
        """Return whether content is kept under `key`; raises StorageError."""
        ...

    def list(self) -> Iterator[StoredBlob]:
        """Yield every stored blob, in no particular order; raises StorageError."""
        ...

    def remove(self, key: str) -> None:
        """Remove content that no version names; no-op if it does not exist. Raises StorageError."""
        ...


class Anchors(Protocol):
    """The heads of the event chain, noted outside the database, so that removed last events are found."""

    def note(self, event: int, head: str) -> None:
        """Note a head, after the commit: an event without an anchor is sound, an anchor without its event is not.

        A failure is only logged, because the change has been committed.
        """
        ...

    def read(self) -> dict[int, set[str]]:
        """Return the noted hashes by event id; raises StorageError."""
        ...
