"""Bytes that no version names: what a crash between the copy and the row leaves behind."""

from collections.abc import Sequence
from datetime import timedelta

from mlops_dagster.clock import SystemClock
from mlops_dagster.database import reading, writing
from mlops_dagster.registry.artifacts import StoredBlob
from mlops_dagster.registry.artifacts.content import FOLDER
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql

GRACE = timedelta(days=1)
"""A registration may take this long between its bytes and its row."""
_AT_ONCE = 20  # others wait for the write transaction meanwhile


class Housekeeping(Session):
    """Find and remove orphans; never what a version names, whatever its stage."""

    def orphans(self, *, older_than: timedelta = GRACE) -> "list[StoredBlob]":
        """What no version needs, oldest first. The files of a folder stay as long as its manifest does.

        Raises StorageError, and CorruptedArtifactError for a manifest that cannot be read: then nothing is an orphan.
        """
        with reading(self._engine) as connection:
            needed = sql.named_digests(connection)
        blobs = list(self._content.blobs())
        for blob in blobs:
            if blob.key.startswith(FOLDER):
                needed |= set(self._content.files(blob.key).values())
        before = SystemClock().now() - older_than  # stores stamp with the machine's clock
        found = (blob for blob in blobs if blob.key not in needed and blob.stored_at < before)
        return sorted(found, key=lambda blob: blob.stored_at)

    def remove_orphans(self, orphans: Sequence[StoredBlob]) -> "list[StoredBlob]":
        """Remove these, but for those that a version names by now; returns what is gone. Raises StorageError."""
        gone = []
        for start in range(0, len(orphans), _AT_ONCE):
            # In the same transaction as the record of it: a registration that began before sees one, and looks again.
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
