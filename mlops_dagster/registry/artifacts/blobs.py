"""What the registry asks of a place for bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredBlob:
    """One content as it lies in a store."""

    key: str
    size: int
    """In bytes."""
    stored_at: datetime


class Blobs(Protocol):
    """Keeps each content once, under the SHA-256 of its bytes, and never changes it.

    The key of a content is its SHA-256 in hexadecimal, after a `prefix` that tells one kind of content from another.
    """

    def add(self, file: Path, prefix: str = "") -> str:
        """Copy the bytes of `file` in, durably, and return their key. Adding the same bytes again is free.

        Raises ArtifactChangedError (the file changed meanwhile), CorruptedArtifactError (other bytes are kept under
        this key) and StorageError.
        """
        ...

    def copy(self, key: str, destination: Path) -> None:
        """Write the bytes under `key` to the new file `destination`, and compare their SHA-256.

        Raises ArtifactNotFoundError, CorruptedArtifactError, StorageError; the file may then be there in part.
        """
        ...

    def has(self, key: str) -> bool:
        """Something is kept under `key`; raises StorageError."""
        ...

    def list(self) -> Iterator[StoredBlob]:
        """Everything there is, in no particular order; raises StorageError."""
        ...

    def remove(self, key: str) -> None:
        """Forget a content that nothing names; gone already is fine. Raises StorageError."""
        ...


class Anchors(Protocol):
    """Heads of the event chain, noted outside the database, so that a cut tail shows."""

    def note(self, event: int, head: str) -> None:
        """Called after the commit: a chain without its newest anchor is sound, an anchor without its event is not.

        A failure is logged and no more, because the change it belongs to has happened.
        """
        ...

    def read(self) -> dict[int, set[str]]:
        """The noted hashes by event id; raises StorageError."""
        ...
