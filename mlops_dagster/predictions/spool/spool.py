"""Predictions and labels on their way to the rollups and the log: durable before the answer is sent."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zlib import crc32

import orjson

from mlops_dagster.clock import Clock, SystemClock
from mlops_dagster.predictions.encoded import encode_shed
from mlops_dagster.predictions.labels.join import Batch, Label, join_labels
from mlops_dagster.predictions.labels.label_index import Awaited, LabelIndex
from mlops_dagster.predictions.records import (
    FeedbackResult,
    PredictionRecord,
    ShedRecord,
    from_microseconds,
    microseconds,
)
from mlops_dagster.predictions.spool.appends import SCHEMA as ENTRIES
from mlops_dagster.predictions.spool.appends import GroupCommit
from mlops_dagster.predictions.spool.entries import COUNTS, SHED, Entry, rows_of
from mlops_dagster.predictions.spool.held import SCHEMA as HELD
from mlops_dagster.predictions.spool.held import Aside, Held, reasons
from mlops_dagster.predictions.spool.losses import Loss, give_up, losses, note_loss
from mlops_dagster.predictions.spool.marks import FIRST_FOR_LOG, LAST_FOR_LOG, Marks, ProcessCount, SpoolDepth
from mlops_dagster.predictions.spool.sqlite import Durability, SqliteFile

_INSERT = "INSERT INTO entries (body, checksum) VALUES (?, ?)"

# A checkpoint of the write-ahead log syncs it to disk, and again in the append that restarts it: some tens of
# milliseconds for all waiting appends. So `free` makes one a minute; this many pages (1 GiB) are the backstop.
_CHECKPOINT_PAGES = 262_144
_CHECKPOINT_SECONDS = 60.0

_FREE_AT_ONCE = 100  # deleting these takes less than a millisecond, for which an append may have to wait
_BREATH_SECONDS = 0.002  # a pause for waiting appends, which retry after a millisecond
_INDEX_AT_ONCE = 2_000


class Spool:
    """An ordered, durable queue of predictions and labels, in one SQLite file, for threads and processes.

    Entries are numbered in the order of their commits, so a reader that has seen number n has seen all before it. They
    are freed once every consumer has them. Predictions that await a label are indexed, until `prune`, in
    `spool.awaiting.sqlite` in the same folder.
    """

    def __init__(self, path: Path, durability: Durability = "process", *, clock: Clock | None = None) -> None:
        self.path = path
        self._file = SqliteFile(path, f"{ENTRIES}; {HELD}", durability, _CHECKPOINT_PAGES)
        self._file.check()
        self.held = Held(self._file)
        self.marks = Marks(self._file)
        self.awaiting = LabelIndex(path.with_suffix(".awaiting.sqlite"))
        self._clock = clock or SystemClock()  # for `received_at` only
        self._appends = GroupCommit(self._file)
        self._checkpointed_at = time.monotonic()
        self.id = self._identity()
        self.go_on_after(self.awaiting.cursor(self.id), self._file.dropped)

    def append(self, records: Sequence[PredictionRecord]) -> int:
        """Record predictions, durably on return; return the number of the last entry.

        Callers that come while another one commits are committed together.
        """
        return self._appends.append(records)

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
            awaited = self.awaiting.find(model, {prediction_id for prediction_id, _, _ in labels})
            entries, result = join_labels(batch, labels, awaited)
            connection.executemany(_INSERT, rows_of(orjson.dumps(entry) for entry in entries))
        return result

    def awaited(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Awaited]:
        """Return those of the model's predictions that are known here by now, by id."""
        self.index()
        return self.awaiting.find(model, prediction_ids)

    def prune(self, before: datetime) -> int:
        """Stop awaiting labels of predictions that were received before `before`; return how many."""
        pruned = 0
        while some := self.awaiting.prune(microseconds(before)):
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
        self.marks.set("indexed", number)

    def _index(self) -> int:
        last = self.last_number()  # those that come meanwhile are left: of a busy spool, this would have no end
        while (number := self.awaiting.cursor(self.id)) < last and (entries := self.read(number, _INDEX_AT_ONCE)):
            self.awaiting.add(self.id, entries)
        return number

    def _append_late(self) -> None:
        """Append an entry for each late arm that the index found, in one transaction with the number of the last."""
        if not (found := self.awaiting.late(self.id)):
            return
        last, _ = found[-1]
        with self._file.writing() as connection:
            known = connection.execute("SELECT number FROM late").fetchone()[0]
            connection.executemany(_INSERT, rows_of(body for number, body in found if number > known))
            connection.execute("UPDATE late SET number = max(number, ?)", (last,))
        self.awaiting.late_is_kept(self.id, last)

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
            last = connection.execute(LAST_FOR_LOG, (len(SHED), SHED)).fetchone()
            return max(int(shipped), int(last[0]) if last else 0)

    def processes(self) -> list[ProcessCount]:
        """Return the number of records so far, by process and model."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT process, model, sequence, answered, shipped FROM processes ORDER BY process, model"
            )
            return [ProcessCount(*row) for row in rows]

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

    def depth(self) -> SpoolDepth:
        """Return how far the log is behind, and the free disk space. Raises StorageError."""
        shipped = self.marks.get("shipped")
        with self._file.reading() as connection:
            lost = sum(loss.entries for loss in losses(connection))
            first = connection.execute(FIRST_FOR_LOG, (shipped, len(COUNTS[0]), *COUNTS)).fetchall()
        held = self.held.tables()
        times = [table.oldest for table in held]
        times += [from_microseconds(orjson.loads(entry.body)["received_at"]) for entry in self._sound(first)]
        entries = self.last_number() - shipped + sum(table.entries for table in held)
        return SpoolDepth.of(self.path, entries, min(times, default=None), lost)

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

    def forget(self, model: str, predictions: Iterable[tuple[str, str]]) -> None:
        """Stop awaiting labels of these predictions of a model, each as (id, request); other requests keep theirs."""
        self.index()
        self.awaiting.forget(model, predictions)

    def purge(self) -> None:
        """Overwrite every byte of the entries that were freed or forgotten, in all files."""
        self._file.purge()
        self.awaiting.purge()

    def close(self) -> None:
        self._file.close()
        self.awaiting.close()

    def _identity(self) -> str:
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO identity SELECT ? WHERE NOT EXISTS (SELECT * FROM identity)", (uuid.uuid4().hex,)
            )
            return str(connection.execute("SELECT id FROM identity").fetchone()[0])
