"""Access to SQLite without SQLAlchemy, for files that are written with every request, such as the spool."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from mlops_dagster.database import LOCK_TIMEOUT_SECONDS, purge, tell_of_dropped, use_wal
from mlops_dagster.errors import CorruptedError, StorageError

Durability: TypeAlias = Literal["process", "disk"]
"""The failure that a committed transaction survives: the death of the process, or a loss of power too."""

_SYNCHRONOUS: dict[Durability, str] = {"process": "NORMAL", "disk": "FULL"}

_USUAL_CHECKPOINT_PAGES = 1_000  # SQLite's own default, 4 MiB


class SqliteFile:
    """An SQLite file with one connection for writes and one for reads, each used by one thread at a time.

    Raises CorruptedError if the file is not, or no longer, the database that was written, StorageError if it cannot be
    used now.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        durability: Durability = "process",
        checkpoint_pages: int = _USUAL_CHECKPOINT_PAGES,
    ) -> None:
        self.path = path
        self._pragmas = (
            f"synchronous={_SYNCHRONOUS[durability]}",
            f"wal_autocheckpoint={checkpoint_pages}",
            "secure_delete=ON",  # most of what is deleted is overwritten at once, the rest by `purge`
        )
        self._writer_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        with self._translated():
            self.dropped = tell_of_dropped(path)
            """The number of transactions lost with a damaged write-ahead log when the file was opened."""
            self._writer = self._connect()
            self._writer.executescript(f"BEGIN IMMEDIATE; {schema}; COMMIT")
            self._reader = self._connect()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a write transaction: all of it is committed, or nothing."""
        with self._writer_lock, self._translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a snapshot for any number of reads; does not wait for a writer."""
        with self._reader_lock, self._translated():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("ROLLBACK")

    def check(self) -> None:
        """Check every page, about 1 s per GB; raises CorruptedError."""
        with self._reader_lock, self._translated():
            damage = self._reader.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, without making any other process wait."""
        with self._reader_lock, self._translated():
            self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def purge(self) -> None:
        """Overwrite every byte of deleted rows, also in the write-ahead log; writers wait (see `database.purge`)."""
        with self._writer_lock, self._translated():
            purge(self._writer)

    def close(self) -> None:
        with self._writer_lock, self._reader_lock:
            self._writer.close()
            self._reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        use_wal(connection)
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self.path} cannot be used: {error}; try again or check the disk") from error
        except sqlite3.DatabaseError as error:
            reason = " ".join(str(error).split())
            raise CorruptedError(
                f"{self.path} is damaged: {reason}; move it away (keep it: it may hold predictions) and start again"
            ) from error
