"""SQLite's write-ahead log, also where several processes open a new file at once."""

import sqlite3
import time

LOCK_TIMEOUT_SECONDS = 30

_PURGE_SECONDS = 60.0

_PRIMARY = 0xFF  # of an extended code


def use_wal(connection: sqlite3.Connection) -> None:
    """Readers wait for nobody from here on. Raises sqlite3.OperationalError.

    SQLite waits for locks, but not for the one that a change of the journal takes: it says at once that the file is
    locked, so the waiting is here.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def purge(connection: sqlite3.Connection) -> None:
    """Leave no byte of what was deleted in the database file or its write-ahead log.

    `secure_delete` overwrites a deleted row, but no copy of it that stayed in a page when rows moved to another one.
    So the file is written anew: 9 s for 281 MB on two busy cores, in which nobody else writes to it. Raises
    sqlite3.OperationalError if others read or write for a minute without a break.
    """
    deadline = time.monotonic() + _PURGE_SECONDS
    connection.execute("VACUUM")
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("its write-ahead log is read without a break")
        time.sleep(0.01)
