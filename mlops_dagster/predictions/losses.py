"""Entries of the spool that were lost with its file: on record for ever, by number."""

import logging
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

from mlops_dagster.predictions.records import from_microseconds

logger = logging.getLogger(__name__)


class Loss(NamedTuple):
    """Entries `first` to `last`, at least: none is known where `last` is less. They were in so many transactions."""

    first: int
    last: int
    transactions: int  # that SQLite dropped with a damaged write-ahead log; 0 where the file is an older state
    at: datetime  # when it was found

    @property
    def entries(self) -> int:
        """How many are known to be lost."""
        return max(self.last - self.first + 1, 0)

    def __str__(self) -> str:
        which = f"entries {self.first} to {self.last}" if self.entries else f"entries after {self.first - 1}"
        how = (
            f"{self.transactions} transactions of its damaged write-ahead log"
            if self.transactions
            else "a loss of power, or by an older copy of it"
        )
        return f"the spool lost {which}, with {how}, as was found at {self.at:%Y-%m-%d %H:%M} UTC"


def note_loss(connection: Connection, spool: Path, number: int, dropped: int, at: int) -> None:
    """Note what follows the newest entry up to `number`, and have entries to come follow that; log an error.

    Nothing is noted if another process has done so already.
    """
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    last = int(found[0]) if found else 0
    if number <= last and not dropped:
        return
    loss = Loss(last + 1, max(number, last), dropped, from_microseconds(at))
    connection.execute("INSERT INTO losses VALUES (?, ?, ?, ?)", (loss.first, loss.last, loss.transactions, at))
    if found is None:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('entries', ?)", (loss.last,))
    else:
        connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'entries'", (loss.last,))
    logger.error("%s (%s): what of that is not in the log is gone; `mlops predictions audit` counts it", loss, spool)


def losses(connection: Connection) -> list[Loss]:
    """Everything that was noted, oldest first."""
    rows = connection.execute("SELECT first, last, transactions, at FROM losses ORDER BY at, first")
    return [Loss(first, last, transactions, from_microseconds(at)) for first, last, transactions, at in rows]
