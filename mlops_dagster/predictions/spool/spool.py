"""Predictions and labels on their way to the rollups and the log: durable before the answer is sent."""

import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Literal, NamedTuple, TypeAlias
from zlib import crc32

import orjson

from mlops_dagster.clock import Clock, SystemClock
from mlops_dagster.predictions.labels.join import Batch, Label, join_labels
from mlops_dagster.predictions.labels.label_index import Adopted, Awaited, LabelIndex
from mlops_dagster.predictions.records import (
    ANSWERED,
    FeedbackResult,
    PredictionRecord,
    ShedRecord,
    encode_prediction,
    encode_shed,
    from_microseconds,
    microseconds,
)
from mlops_dagster.predictions.spool.entries import COUNTS, SHED, Entry, rows_of
from mlops_dagster.predictions.spool.held import SCHEMA, Aside, Held, reasons
from mlops_dagster.predictions.spool.losses import Loss, give_up, losses, note_loss
from mlops_dagster.predictions.spool.sqlite import Durability, SqliteFile

# AUTOINCREMENT: the numbers are cursors of the rollups and the log, so a freed one must not come again.
_SCHEMA = """
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

_INSERT = "INSERT INTO entries (body, checksum) VALUES (?, ?)"

_FIRST_FOR_LOG = """
SELECT number, sequence, body, checksum FROM entries
WHERE number > ? AND (sequence IS NOT NULL OR substr(body, 1, ?) NOT IN (?, ?))
ORDER BY number LIMIT 1
"""

_LAST_FOR_LOG = """
SELECT number FROM entries WHERE sequence IS NOT NULL OR substr(body, 1, ?) != ? ORDER BY number DESC LIMIT 1
"""

# A checkpoint of the write-ahead log syncs it to disk, and again in the append that restarts it: some tens of
# milliseconds for all waiting appends. So `free` makes one a minute; this many pages (1 GiB) are the backstop.
_CHECKPOINT_PAGES = 262_144
_CHECKPOINT_SECONDS = 60.0

_FREE_AT_ONCE = 100  # deleting these takes less than a millisecond, for which an append may have to wait
_BREATH_SECONDS = 0.002  # a pause for waiting appends, which retry after a millisecond
_INDEX_AT_ONCE = 2_000
_ROWS_AT_ONCE = 64

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


@dataclass(slots=True)
class _Append:
    """The records of one caller of `append`, encoded."""

    records: Sequence[PredictionRecord]
    bodies: list[bytes]
    last_number: int = 0
    written: bool = False
    error: BaseException | None = None


class Spool:
    """An ordered, durable queue of predictions and labels, in one SQLite file, for threads and processes.

    Entries are numbered in the order of their commits, so a reader that has seen number n has seen all before it. They
    are freed once every consumer has them. Predictions that await a label are indexed, until `prune`, in
    `spool.awaiting.sqlite` in the same folder.
    """

    def __init__(self, path: Path, durability: Durability = "process", *, clock: Clock | None = None) -> None:
        self.path = path
        self._file = SqliteFile(path, f"{_SCHEMA}; {SCHEMA}", durability, _CHECKPOINT_PAGES)
        self._file.check()
        self.held = Held(self._file)
        self._awaiting = LabelIndex(path.with_suffix(".awaiting.sqlite"))
        self._clock = clock or SystemClock()  # for `received_at` only
        self._waiting: list[_Append] = []
        self._checkpointed_at = time.monotonic()
        self._waiting_lock = threading.Lock()
        self._turn = threading.Lock()
        self.id = self._identity()
        self.go_on_after(self._awaiting.cursor(self.id), self._file.dropped)

    def append(self, records: Sequence[PredictionRecord]) -> int:
        """Record predictions, durably on return; return the number of the last entry.

        Callers that come while another one commits are committed together.
        """
        mine = _Append(records, [encode_prediction(record) for record in records])
        with self._waiting_lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.written and mine.error is None:
                self._write_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.last_number

    def feedback(
        self,
        labels: Iterable[Label],
        *,
        model: str,
        actor: str | None = None,
        now: datetime | None = None,
        received: datetime | None = None,
    ) -> FeedbackResult:
        """Record labels of predictions that are known here (see `join_labels`); they are durable on return.

        Ids are per model, and an id belongs to one prediction: of the requests that repeat it, the first answered.

        Args:
            labels: as (prediction id, label, time it became known or None for `now`).
            model: the model of the predictions.
            actor: the sender of the labels.
            now: the time of the caller's clock; by default that of this machine.
            received: the time at which the labels came, if another machine received them; by default now.
        """
        labels = list(labels)
        received_at = microseconds(received or self._clock.now())
        batch = Batch(model, actor, received_at, received_at if now is None else microseconds(now))
        self.index()
        with self._file.writing() as connection:
            self._index()  # entries that came meanwhile; none can come within this transaction
            awaited = self._awaiting.find(model, {prediction_id for prediction_id, _, _ in labels})
            entries, result = join_labels(batch, labels, awaited)
            connection.executemany(_INSERT, rows_of(orjson.dumps(entry) for entry in entries))
        return result

    def awaited(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Awaited]:
        """Return those of the model's predictions that are known here by now, by id."""
        self.index()
        return self._awaiting.find(model, prediction_ids)

    def adopt(self, model: str, found: Mapping[str, Adopted]) -> None:
        """Await labels of predictions that were answered elsewhere, given by id."""
        self._awaiting.adopt(model, found)

    def prune(self, before: datetime) -> int:
        """Stop awaiting labels of predictions that were received before `before`; return how many."""
        pruned = 0
        while some := self._awaiting.prune(microseconds(before)):
            pruned += some
            time.sleep(_BREATH_SECONDS)
        return pruned

    def check_writable(self) -> None:
        """Write a change without meaning; raises StorageError if a prediction could not be recorded now."""
        with self._file.writing() as connection:
            # SQLite does not write a page that does not change, so this number alternates; no code reads it.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {1 - version}")

    def shed(self, records: Iterable[ShedRecord]) -> None:
        """Record scorings that were left out; durable on return."""
        with self._file.writing() as connection:
            connection.executemany(_INSERT, rows_of(encode_shed(record) for record in records))

    def index(self) -> None:
        """Index the arms that await a label, for all entries in the spool by now; `feedback` calls this itself.

        For an arm that scored a prediction after its first label came, an entry is added by which the rollups count
        that label for it, and for its pair with the arm that answered: exactly once, even if a process is killed at any
        line.
        """
        number = self._index()
        self._append_late()
        self.mark("indexed", number)

    def _index(self) -> int:
        while entries := self.read(number := self._awaiting.cursor(self.id), _INDEX_AT_ONCE):
            self._awaiting.add(self.id, entries)
        return number

    def _append_late(self) -> None:
        """Append an entry for each late arm that the index found, in one transaction with the number of the last."""
        if not (found := self._awaiting.late(self.id)):
            return
        last, _ = found[-1]
        with self._file.writing() as connection:
            known = connection.execute("SELECT number FROM late").fetchone()[0]
            connection.executemany(_INSERT, rows_of(body for number, body in found if number > known))
            connection.execute("UPDATE late SET number = max(number, ?)", (last,))
        self._awaiting.late_is_kept(self.id, last)

    def read(self, after: int, limit: int = 10_000) -> list[Entry]:
        """Return the entries that follow number `after`, in order."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT number, sequence, body, checksum FROM entries WHERE number > ? ORDER BY number LIMIT ?",
                (after, limit),
            ).fetchall()
        return self._sound(rows)

    def next_for_log(self, limit: int) -> tuple[list[Entry], dict[str, str]]:
        """Return the next entries for the log, and the tables with held entries and reasons; both of one snapshot."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT number, sequence, body, checksum FROM entries "
                "WHERE number > (SELECT number FROM marks WHERE name = 'shipped') ORDER BY number LIMIT ?",
                (limit,),
            ).fetchall()
            held = reasons(connection)
        return self._sound(rows), held

    def _sound(self, rows: Sequence[tuple[int, int | None, bytes, int]]) -> list[Entry]:
        """Convert rows to entries, giving up damaged ones, so that they block no consumer."""
        entries = [
            Entry(number, sequence, body) for number, sequence, body, checksum in rows if crc32(body) == checksum
        ]
        if len(entries) < len(rows):
            sound = {entry.number for entry in entries}
            with self._file.writing() as connection:
                for number in (row[0] for row in rows if row[0] not in sound):
                    give_up(connection, self.path, number, microseconds(self._clock.now()))
        return entries

    def last_number(self) -> int:
        """Return the number of the newest entry there ever was; 0 before the first."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
            return int(found[0]) if found else 0

    def go_on_after(self, number: int, dropped: int = 0) -> None:
        """Continue numbering beyond `number`, up to which some reader has seen this spool.

        If the spool ends before that, or its file has `dropped` transactions, entries are lost: the loss is recorded
        for ever. Without this, a reader that has seen these numbers would take the later entries for known, and leave
        them out too.
        """
        if number > self.last_number() or dropped:
            with self._file.writing() as connection:
                note_loss(connection, self.path, number, dropped, microseconds(self._clock.now()))

    def losses(self) -> list[Loss]:
        """Return the losses of entries with the file, or with a part of it, oldest first."""
        with self._file.reading() as connection:
            return losses(connection)

    def last_for_log(self) -> int:
        """Return the number of the newest entry for the log; counts of shed scorings do not go there."""
        with self._file.reading() as connection:
            shipped = connection.execute("SELECT number FROM marks WHERE name = 'shipped'").fetchone()[0]
            last = connection.execute(_LAST_FOR_LOG, (len(SHED), SHED)).fetchone()
            return max(int(shipped), int(last[0]) if last else 0)

    def processes(self) -> list[ProcessCount]:
        """Return the number of records so far, by process and model."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT process, model, sequence, answered, shipped FROM processes ORDER BY process, model"
            )
            return [ProcessCount(*row) for row in rows]

    def keep_for(self, consumers: Collection[Consumer]) -> None:
        """Set the consumers that must have an entry before it is freed, replacing earlier ones; the index always is."""
        consumers = {*consumers, "indexed"}
        with self._file.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO marks VALUES (?, 0)", ((name,) for name in consumers))
            known = [name for (name,) in connection.execute("SELECT name FROM marks")]
            connection.executemany("DELETE FROM marks WHERE name = ?", ((name,) for name in {*known} - {*consumers}))

    def mark(self, name: Consumer, number: int) -> None:
        """Note that consumer `name` has durably taken over all entries up to `number`."""
        if self.marked(name) >= number:
            return
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)",
                (name, number),
            )

    def mark_shipped(
        self, number: int, reached: Mapping[tuple[str, str], int], aside: Mapping[str, Aside] | None = None
    ) -> None:
        """Note that the log has the entries up to `number`, and the records up to `reached` by (process, model).

        The entries of `aside`, by the table that does not take them, are excepted: they are held back.
        """
        with self._file.writing() as connection:
            for table, its in (aside or {}).items():
                self.held.add(connection, table, its)
            connection.execute("UPDATE marks SET number = max(number, ?) WHERE name = 'shipped'", (number,))
            connection.executemany(
                "UPDATE processes SET shipped = max(shipped, ?) WHERE process = ? AND model = ?",
                ((sequence, *source) for source, sequence in reached.items()),
            )

    def marked(self, name: Consumer) -> int:
        """Return the number up to which a consumer has taken entries over."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT number FROM marks WHERE name = ?", (name,)).fetchone()
            return int(found[0]) if found else 0

    def depth(self) -> SpoolDepth:
        """Return how far the log is behind, and the free disk space. Raises StorageError."""
        path, shipped = self._file.path, self.marked("shipped")
        with self._file.reading() as connection:
            lost = sum(loss.entries for loss in losses(connection))
            first = connection.execute(_FIRST_FOR_LOG, (shipped, len(COUNTS[0]), *COUNTS)).fetchall()
        held = self.held.tables()
        times = [table.oldest for table in held]
        times += [from_microseconds(orjson.loads(entry.body)["received_at"]) for entry in self._sound(first)]
        return SpoolDepth(
            entries=self.last_number() - shipped + sum(table.entries for table in held),
            oldest=min(times, default=None),
            bytes=sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")),
            free_bytes=shutil.disk_usage(path.parent).free,
            lost=lost,
        )

    def taken_over(self) -> int:
        """Return the number up to which every consumer has taken entries over."""
        self.index()
        with self._file.reading() as connection:
            return int(connection.execute("SELECT min(number) FROM marks").fetchone()[0])

    def free(self) -> int:
        """Delete the entries that every consumer has taken over; return how many."""
        self.index()
        freed = 0
        while True:
            with self._file.writing() as connection:
                deleted = connection.execute(
                    "DELETE FROM entries WHERE number IN (SELECT number FROM entries "
                    "WHERE number <= (SELECT min(number) FROM marks) ORDER BY number LIMIT ?)",
                    (_FREE_AT_ONCE,),
                ).rowcount
            freed += deleted
            if deleted < _FREE_AT_ONCE:
                break
            time.sleep(_BREATH_SECONDS)
        if time.monotonic() - self._checkpointed_at > _CHECKPOINT_SECONDS:
            self._file.checkpoint()
            self._checkpointed_at = time.monotonic()
        return freed

    def repeated_ids(self) -> Mapping[str, int]:
        """Return, by model, how many predictions were indexed whose id an earlier request had taken."""
        return self._awaiting.repeated()

    def forget(self, model: str, predictions: Iterable[tuple[str, str]]) -> None:
        """Stop awaiting labels of these predictions of a model: a label that comes later is of an unknown prediction.

        Each is given as (id, request): other requests that repeat the id are not affected.
        """
        self.index()
        self._awaiting.forget(model, predictions)

    def purge(self) -> None:
        """Overwrite every byte of the entries that were freed or forgotten, in all files."""
        self._file.purge()
        self._awaiting.purge()

    def close(self) -> None:
        self._file.close()
        self._awaiting.close()

    def _identity(self) -> str:
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO identity SELECT ? WHERE NOT EXISTS (SELECT * FROM identity)", (uuid.uuid4().hex,)
            )
            return str(connection.execute("SELECT id FROM identity").fetchone()[0])

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
