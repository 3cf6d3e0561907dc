"""SQLite's write-ahead log, also where several processes open a new file at once."""

import sqlite3
import time

LOCK_TIMEOUT_SECONDS = 30

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
