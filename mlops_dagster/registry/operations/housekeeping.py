"""Orphans: bytes that no version names, left behind by a crash between storing the bytes and writing the row."""

from collections.abc import Sequence
from datetime import timedelta

from mlops_dagster.clock import SystemClock
from mlops_dagster.database import reading, writing
from mlops_dagster.registry.artifacts import StoredBlob
from mlops_dagster.registry.artifacts.content import FOLDER
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql

GRACE = timedelta(days=1)
"""The longest time between the bytes of a registration and its row."""
_AT_ONCE = 20  # other writers wait for the transaction meanwhile


class Housekeeping(Session):
    """Finding and removal of orphans; bytes that a version of any stage names are never removed."""

    def orphans(self, *, older_than: timedelta = GRACE) -> "list[StoredBlob]":
        """Return the blobs that no version needs, oldest first. Files of a folder stay as long as its manifest.

        Raises StorageError, and CorruptedArtifactError for a manifest that cannot be read: then nothing is an orphan.
        """
        with reading(self._engine) as connection:
            needed = sql.named_digests(connection)
        blobs = list(self._content.blobs())
        for blob in blobs:
            if blob.key.startswith(FOLDER):
                needed |= set(self._content.files(blob.key).values())
        before = SystemClock().now() - older_than  # stores date blobs by the machine's clock
        found = (blob for blob in blobs if blob.key not in needed and blob.stored_at < before)
        return sorted(found, key=lambda blob: blob.stored_at)

    def remove_orphans(self, orphans: Sequence[StoredBlob]) -> "list[StoredBlob]":
        """Remove those of `orphans` that still no version names, and return the removed ones. Raises StorageError."""
        gone = []
        for start in range(0, len(orphans), _AT_ONCE):
            # Removal and its record are one transaction: a registration that began before finds the record, and checks
            # again.
            with writing(self._engine) as connection:
                needed = sql.named_digests(connection)
                batch = [blob for blob in orphans[start : start + _AT_ONCE] if blob.key not in needed]
                for blob in batch:
                    self._content.remove(blob.key)
                if batch:
                    keys = [blob.key for blob in batch]
                    sql.record_cleaning(connection, self._actor, SystemClock().now(), keys)
            gone += batch
        return gone
