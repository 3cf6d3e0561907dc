"""Entries that their table of the log refused: kept in the spool's file, so they do not block other tables."""

from collections.abc import Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import NamedTuple

import orjson

from mlops_dagster.predictions.records import from_microseconds
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.predictions.spool.sqlite import SqliteFile

SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    log_table TEXT NOT NULL, number INTEGER NOT NULL, sequence INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (log_table, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held_tables (log_table TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID
"""


class Aside(NamedTuple):
    """Entries that their table does not take now, and the reason."""

    entries: Sequence[Entry]
    reason: str


class HeldTable(NamedTuple):
    """The entries held back for one table of the log, in numbers."""

    table: str
    entries: int
    oldest: datetime
    """The time at which the first of them came."""
    reason: str


class Held:
    """Held entries, by table. While a table has entries here, all later ones join them: it gets them in order."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, connection: Connection, table: str, aside: Aside) -> None:
        """Add entries, in the transaction of the caller; those that are here already stay as they are."""
        connection.execute("INSERT OR REPLACE INTO held_tables VALUES (?, ?)", (table, aside.reason))
        connection.executemany(
            "INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?)", ((table, *entry) for entry in aside.entries)
        )

    def reasons(self) -> dict[str, str]:
        """Return the tables that entries are held back for, with the reasons."""
        with self._file.reading() as connection:
            return reasons(connection)

    def read(self, table: str, after: int = 0, limit: int = 10_000) -> list[Entry]:
        """Return the held entries of a table that follow number `after`, in order."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT number, sequence, body FROM held WHERE log_table = ? AND number > ? ORDER BY number LIMIT ?",
                (table, after, limit),
            )
            return [Entry(*row) for row in rows]

    def release(self, table: str, upto: int) -> None:
        """Delete the entries of a table up to number `upto`: the table has them."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM held WHERE log_table = ? AND number <= ?", (table, upto))
            connection.execute(
                "DELETE FROM held_tables WHERE log_table = ? AND NOT EXISTS (SELECT * FROM held WHERE log_table = ?)",
                (table, table),
            )

    def tables(self) -> list[HeldTable]:
        """Return every table that entries are held back for, with their number and the oldest time."""
        with self._file.reading() as connection:
            found = []
            for table, reason in reasons(connection).items():
                of_table = "FROM held WHERE log_table = ?"
                entries = connection.execute(f"SELECT count(*) {of_table}", (table,)).fetchone()[0]  # our text only
                first = connection.execute(f"SELECT body {of_table} ORDER BY number LIMIT 1", (table,)).fetchone()
                if first is not None:
                    oldest = from_microseconds(_received_at(first[0]))
                    found.append(HeldTable(table, entries, oldest, reason))
            return found

    def last_number(self) -> int:
        """Return the highest number of a held entry; 0 if there is none."""
        with self._file.reading() as connection:
            return connection.execute("SELECT max(number) FROM held").fetchone()[0] or 0


def reasons(connection: Connection) -> dict[str, str]:
    """Do the work of `Held.reasons`, in the transaction of the caller."""
    return dict(connection.execute("SELECT log_table, reason FROM held_tables ORDER BY log_table").fetchall())


def _received_at(body: bytes) -> int:
    """Return the time at which a prediction or label was received; for a late arm, the time of its label."""
    entry = orjson.loads(body)
    at: int = entry.get("received_at", entry.get("at"))
    return at
