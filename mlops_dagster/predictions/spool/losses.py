"""Entries of the spool that were lost with its file, or in it: on record for ever, by number."""

import logging
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Literal, NamedTuple, TypeAlias

from mlops_dagster.predictions.records import from_microseconds

logger = logging.getLogger(__name__)

Cause: TypeAlias = Literal["older file", "damaged log", "damaged entry"]
"""The cause: an older copy of the file, transactions that SQLite dropped, or an entry whose bytes have changed."""


class Loss(NamedTuple):
    """The loss of at least the entries `first` to `last`; no number is known if `last` is less than `first`."""

    first: int
    last: int
    cause: Cause
    transactions: int  # that SQLite dropped, with a damaged write-ahead log
    at: datetime  # when it was found

    @property
    def entries(self) -> int:
        """The number of entries known to be lost."""
        return max(self.last - self.first + 1, 0)

    def __str__(self) -> str:
        which = f"entries {self.first} to {self.last}" if self.entries else f"entries after {self.first - 1}"
        how = {
            "older file": "with a loss of power, or by an older copy of it",
            "damaged log": f"with {self.transactions} transactions of its damaged write-ahead log",
            "damaged entry": "whose bytes on the disk are not those that were written",
        }[self.cause]
        return f"the spool lost {which}, {how}, as was found at {self.at:%Y-%m-%d %H:%M} UTC"


def note_loss(connection: Connection, spool: Path, number: int, dropped: int, at: int) -> None:
    """Record the loss of entries after the newest up to `number`, number later entries after it, and log an error.

    Nothing is recorded if another process has done so already.
    """
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    last = int(found[0]) if found else 0
    if number <= last and not dropped:
        return
    loss = Loss(last + 1, max(number, last), "damaged log" if dropped else "older file", dropped, from_microseconds(at))
    _note(connection, loss, spool, at)
    if found is None:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('entries', ?)", (loss.last,))
    else:
        connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'entries'", (loss.last,))


def give_up(connection: Connection, spool: Path, number: int, at: int) -> None:
    """Remove an entry that cannot be read any more, record its loss, and log an error.

    Does nothing if another process has done so already. The entry's bytes are not kept, because no erasure could find a
    person in them.
    """
    if connection.execute("DELETE FROM entries WHERE number = ?", (number,)).rowcount:
        _note(connection, Loss(number, number, "damaged entry", 0, from_microseconds(at)), spool, at)


def _note(connection: Connection, loss: Loss, spool: Path, at: int) -> None:
    connection.execute("INSERT INTO losses VALUES (?, ?, ?, ?, ?)", (*loss[:-1], at))
    logger.error("%s (%s): those that are not in the log are gone; `mlops predictions audit` counts them", loss, spool)


def losses(connection: Connection) -> list[Loss]:
    """Return every recorded loss, oldest first."""
    rows = connection.execute("SELECT first, last, cause, transactions, at FROM losses ORDER BY at, first")
    return [
        Loss(first, last, cause, transactions, from_microseconds(at)) for first, last, cause, transactions, at in rows
    ]
