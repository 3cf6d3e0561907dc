"""Requested erasures that are not done yet; the waiting ones are done in one pass over the log."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from mlops_dagster.predictions.records import from_microseconds, microseconds
from mlops_dagster.predictions.spool.sqlite import SqliteFile

DUE_AFTER = timedelta(days=30)
"""One month, the period that GDPR article 12 gives."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL,
    reason TEXT NOT NULL, at INTEGER NOT NULL
)
"""


class Asked(NamedTuple):
    """One person, by routing key, or one prediction, by id, to be erased from a model's log."""

    number: int
    model: str
    what: Literal["keys", "ids"]
    name: str
    reason: str
    at: datetime

    @property
    def due(self) -> datetime:
        """The time by which the erasure must be done."""
        return self.at + DUE_AFTER


class AskedErasures:
    """A file in the home, shared by any number of processes. Every method raises StorageError or CorruptedError."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA, "disk")

    def add(
        self, model: str, *, keys: Collection[str] = (), ids: Collection[str] = (), reason: str, at: datetime
    ) -> None:
        """Store requests for erasure durably: they survive a loss of power."""
        rows = [
            (model, what, name, reason, microseconds(at))
            for what, names in (("keys", keys), ("ids", ids))
            for name in names
        ]
        with self._file.writing() as connection:
            connection.executemany("INSERT INTO asked (model, what, name, reason, at) VALUES (?, ?, ?, ?, ?)", rows)

    def waiting(self, model: str | None = None) -> list[Asked]:
        """Return the requests that are not done, in the order they came; of all models if none is named."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM asked WHERE ?1 IS NULL OR model = ?1 ORDER BY number", (model,)
            ).fetchall()
        return [
            Asked(number, of_model, what, name, reason, from_microseconds(at))
            for number, of_model, what, name, reason, at in rows
        ]

    def done(self, erased: Sequence[Asked]) -> None:
        """Delete these requests, to the last byte."""
        with self._file.writing() as connection:
            connection.executemany("DELETE FROM asked WHERE number = ?", ((each.number,) for each in erased))
        self._file.purge()

    def close(self) -> None:
        self._file.close()
