"""Appends of predictions to the spool: callers that come at the same time share one commit."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from mlops_dagster.predictions.encoded import encode_prediction
from mlops_dagster.predictions.records import ANSWERED, PredictionRecord
from mlops_dagster.predictions.spool.entries import rows_of
from mlops_dagster.predictions.spool.sqlite import SqliteFile

# AUTOINCREMENT: the numbers are cursors of the rollups and the log, so a freed one must not come again.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER, body BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS processes (
    process TEXT, model TEXT, sequence INTEGER NOT NULL, answered INTEGER NOT NULL, shipped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (process, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO marks VALUES ('indexed', 0), ('rolled_up', 0), ('shipped', 0);
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS losses (
    first INTEGER NOT NULL, last INTEGER NOT NULL, cause TEXT NOT NULL, transactions INTEGER NOT NULL,
    at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS late (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT OR IGNORE INTO late VALUES (1, 0)
"""

_ROWS_AT_ONCE = 64


@dataclass(slots=True)
class _Append:
    """The records of one caller of `append`, encoded."""

    records: Sequence[PredictionRecord]
    bodies: list[bytes]
    last_number: int = 0
    written: bool = False
    error: BaseException | None = None


class GroupCommit:
    """Appends of many threads to one file: those that come while a commit is under way share the next one."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._waiting: list[_Append] = []
        self._waiting_lock = threading.Lock()
        self._turn = threading.Lock()

    def append(self, records: Sequence[PredictionRecord]) -> int:
        """Record predictions, durably on return; return the number of the last entry."""
        mine = _Append(records, [encode_prediction(record) for record in records])
        with self._waiting_lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.written and mine.error is None:
                self._write_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.last_number

    def _write_waiting(self) -> None:
        with self._waiting_lock:
            appends, self._waiting = self._waiting, []
        try:
            with self._file.writing() as connection:
                for append in appends:
                    append.last_number = _write(connection, append)
        except BaseException as error:
            for append in appends:
                append.error = error
        else:
            for append in appends:
                append.written = True


def _write(connection: Connection, append: _Append) -> int:
    last = 0
    sequences = _next_sequences(connection, append.records)
    lines = [(sequence, *row) for sequence, row in zip(sequences, rows_of(append.bodies), strict=True)]
    for start in range(0, len(lines), _ROWS_AT_ONCE):
        rows = lines[start : start + _ROWS_AT_ONCE]
        # One statement for many rows: between two statements other threads may take the interpreter.
        places = ", ".join(["(?, ?, ?)"] * len(rows))
        statement = f"INSERT INTO entries (sequence, body, checksum) VALUES {places}"  # noqa: S608  # placeholders only
        last = connection.execute(statement, [value for row in rows for value in row]).lastrowid or 0
    return last


def _next_sequences(connection: Connection, records: Sequence[PredictionRecord]) -> list[int]:
    """Assign sequence numbers to the records, continuing from the last of each process and model.

    So the numbers of a table have no gap, and one snapshot of it shows which are missing.
    """
    taken = Counter((record.process, record.model) for record in records)
    answered = Counter((record.process, record.model) for record in records if record.role in ANSWERED)
    following: dict[tuple[str, str], int] = {}
    for source, count in taken.items():
        last = connection.execute(
            "INSERT INTO processes (process, model, sequence, answered) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET sequence = sequence + excluded.sequence, answered = answered + excluded.answered RETURNING sequence",
            (*source, count, answered[source]),
        ).fetchone()[0]
        following[source] = last - count
    sequences = []
    for record in records:
        following[record.process, record.model] += 1
        sequences.append(following[record.process, record.model])
    return sequences
