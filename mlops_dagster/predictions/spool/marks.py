"""Marks: how far each consumer of the spool has taken over its entries."""

import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from mlops_dagster.predictions.spool.sqlite import SqliteFile

FIRST_FOR_LOG: Final = """
SELECT number, sequence, body, checksum FROM entries
WHERE number > ? AND (sequence IS NOT NULL OR substr(body, 1, ?) NOT IN (?, ?))
ORDER BY number LIMIT 1
"""

LAST_FOR_LOG: Final = """
SELECT number FROM entries WHERE sequence IS NOT NULL OR substr(body, 1, ?) != ? ORDER BY number DESC LIMIT 1
"""

Consumer: TypeAlias = Literal["indexed", "rolled_up", "shared", "shipped"]
"""A consumer of entries: the label index, the rollups of this machine, the shared rollups, or the log."""


class ProcessCount(NamedTuple):
    """The number of records of one process and model, which are numbered from 1."""

    process: str
    model: str
    sequence: int  # the last number
    answered: int  # how many of the records were answers
    shipped: int  # up to this number the log has them


class SpoolDepth(NamedTuple):
    """The spool's backlog for the log."""

    entries: int  # not yet in the log
    oldest: datetime | None  # when the first of them came; None if there is none
    bytes: int  # of the spool's files
    free_bytes: int  # on their disk
    lost: int = 0  # entries, at least, that were lost with the file since it was made

    @staticmethod
    def of(file: Path, entries: int, oldest: datetime | None, lost: int) -> "SpoolDepth":
        """Return the depth of the spool in `file`, with the bytes of its files and the room on their disk."""
        used = sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))
        return SpoolDepth(entries, oldest, used, shutil.disk_usage(file.parent).free, lost)


class Marks:
    """The marks of the consumers in one spool file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def keep_for(self, consumers: Collection[Consumer]) -> None:
        """Set the consumers that must have an entry before it is freed, replacing earlier ones; the index always is."""
        consumers = {*consumers, "indexed"}
        with self._file.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO marks VALUES (?, 0)", ((name,) for name in consumers))
            known = [name for (name,) in connection.execute("SELECT name FROM marks")]
            connection.executemany("DELETE FROM marks WHERE name = ?", ((name,) for name in {*known} - {*consumers}))

    def set(self, name: Consumer, number: int) -> None:
        """Note that consumer `name` has durably taken over all entries up to `number`."""
        if self.get(name) >= number:
            return
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)",
                (name, number),
            )

    def get(self, name: Consumer) -> int:
        """Return the number up to which a consumer has taken entries over."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT number FROM marks WHERE name = ?", (name,)).fetchone()
            return int(found[0]) if found else 0
