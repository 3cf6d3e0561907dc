"""The writer of the log: appends the entries of a spool, each exactly once, and holds back what a table refuses."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mlops_dagster.errors import CorruptedError, MlopsError
from mlops_dagster.garbage import uncollected
from mlops_dagster.predictions.encoded import PredictionEntry
from mlops_dagster.predictions.log.location import LogLocation
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table, process_transaction
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.predictions.spool.held import Aside
from mlops_dagster.predictions.spool.spool import Spool

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from mlops_dagster.predictions.log.delta.tables import Appender, Batch

logger = logging.getLogger(__name__)

_Row: TypeAlias = tuple[Entry, PredictionEntry | None]
"""An entry, parsed if it is a prediction."""

_ENTRIES_AT_ONCE = 20_000
_STEP_SECONDS, _TRY_AGAIN_SECONDS = 10.0, 60.0


class _Appended(NamedTuple):
    """The result of appending some entries of a spool."""

    rows: int  # that this call appended
    reached: Mapping[tuple[str, str], int]  # by (process, model): the last sequence that the log has now


class LogWriter:
    """Appends entries of spools to the tables of one log. A table that refuses its entries stops no other table."""

    def __init__(self, place: LogLocation) -> None:
        self._place = place
        self._refusals: Counter[str] = Counter()  # consecutive refusals, by table
        self._try_at: dict[str, float] = {}  # by the table that entries are held back for, on `time.monotonic()`

    @cached_property
    def _appender(self) -> "Appender":
        from mlops_dagster.predictions.log.delta.tables import Appender

        return Appender()

    def take_over(self, spool: Spool) -> int:
        """Append the entries of a spool that the log lacks, and free those that every other consumer has too.

        Those that come meanwhile may be left for the next call: of a busy spool, a call would have no end.
        Returns how many entries this call appended. The caller holds the lock of the spool. Raises StorageError.
        """
        spool.index()  # ships the late arms that it finds too: an erasure must leave none behind
        appended = self._append_held(spool)
        number, last = 0, spool.last_number()
        while number < last:
            with uncollected():
                entries, held = spool.next_for_log(_ENTRIES_AT_ONCE)
            # Counts of shed scorings go to no table; at the end they stay unmarked, as a mark is a number the log has.
            while entries and entries[-1].is_shed:
                entries.pop()
            if not entries:
                break
            appended += self._append_or_hold(spool, entries, held)
            number = entries[-1].number
        spool.free()
        return appended

    def _append_or_hold(self, spool: Spool, entries: Sequence[Entry], held: Mapping[str, str]) -> int:
        """Append entries to the tables that take them, and hold the others back; return how many were appended.

        Raises StorageError if the log cannot be written at all: then nothing is moved.
        """
        appended, aside, reached = 0, {}, {}
        for table, rows in _by_table(entries).items():
            reason = held.get(table)
            if reason is None:
                try:
                    appended += self._append_to(table, spool.id, rows)
                    reached.update(_reached(rows))
                    continue
                except MlopsError as error:
                    if not self._place.is_writable():
                        raise
                    reason = error.told
                    self._refused(table, reason)
            aside[table] = Aside([entry for entry, _ in rows], reason)
        spool.mark_shipped(entries[-1].number, reached, aside)
        return appended

    def _append_held(self, spool: Spool) -> int:
        """Try again the tables that entries are held back for, each after its pause; return how many were appended."""
        appended = 0
        for table in spool.held.reasons():
            if time.monotonic() < self._try_at.get(table, 0.0):
                continue
            try:
                while entries := spool.held.read(table, limit=_ENTRIES_AT_ONCE):
                    batch = self._append(spool.id, entries)
                    appended += batch.rows
                    spool.mark_shipped(0, batch.reached)
                    spool.held.release(table, entries[-1].number)
            except MlopsError as error:
                self._refused(table, error.told)
            else:
                del self._refusals[table]
                logger.warning("%s accepts its entries again; all that were held back are in the log", table)
        return appended

    def _refused(self, table: str, reason: str) -> None:
        self._refusals[table] += 1
        self._try_at[table] = time.monotonic() + min((self._refusals[table] - 1) * _STEP_SECONDS, _TRY_AGAIN_SECONDS)
        logger.error(
            "%s of the log refuses its entries; they are held back, and the other tables go on: %s", table, reason
        )

    def _append(self, spool_id: str, entries: Sequence[Entry]) -> _Appended:
        tables = _by_table(entries)
        appended = sum(self._append_to(table, spool_id, rows) for table, rows in tables.items())
        return _Appended(
            appended, {source: last for rows in tables.values() for source, last in _reached(rows).items()}
        )

    def _append_to(self, table: str, spool_id: str, rows: "Sequence[_Row]") -> int:
        try:
            if table == LABELS_TABLE:
                return self._append_labels(spool_id, [entry for entry, _ in rows])
            return self._append_predictions(table, spool_id, rows)
        except MlopsError:
            raise
        except Exception as error:
            # The error's text and trace are left out: they may hold a person's data.
            kind = type(error).__name__
            raise CorruptedError(f"entries for {table} of the log cannot be made rows ({kind})") from error

    def _append_predictions(self, name: str, spool_id: str, rows: "Sequence[_Row]") -> int:
        from mlops_dagster.predictions.log import columns
        from mlops_dagster.predictions.log.delta import tables as delta

        def new_rows(table: "DeltaTable", after: int) -> "Batch":
            with uncollected():
                new = [
                    (entry.number, entry.sequence or 0, row)
                    for entry, row in rows
                    if row is not None and entry.number > after
                ]
                # In addition to the spool's number: so an audit without the spool knows each process's last number.
                reached = {row["process"]: sequence for _, sequence, row in new}
                found = columns.prediction_table(new, delta.feature_types(table))
            return delta.Batch(found, {process_transaction(name): number for name, number in reached.items()})

        at = self._place.table(name)
        numbers = range(rows[0][0].number, rows[-1][0].number + 1)
        return self._appender.append_once(at, columns.PREDICTIONS, spool_id, numbers, new_rows)

    def _append_labels(self, spool_id: str, entries: Sequence[Entry]) -> int:
        """Append labels; late arms give no row, but their numbers are committed too, so none stays in the spool."""
        from mlops_dagster.predictions.log import columns
        from mlops_dagster.predictions.log.delta import tables as delta

        def new_rows(_table: "DeltaTable", after: int) -> "Batch":
            new = [(entry.number, entry.label()) for entry in entries if entry.number > after and entry.is_label]
            return delta.Batch(columns.label_table(new), {})

        at = self._place.table(LABELS_TABLE)
        numbers = range(entries[0].number, entries[-1].number + 1)
        return self._appender.append_once(at, columns.LABELS, spool_id, numbers, new_rows)


def _by_table(entries: Sequence[Entry]) -> "Mapping[str, Sequence[_Row]]":
    """Group entries by their table of the log; counts of shed scorings are left out, as only the rollups use them."""
    tables: defaultdict[str, list[_Row]] = defaultdict(list)
    with uncollected():
        for entry in entries:
            if entry.is_shed:
                continue
            if entry.sequence is None:
                tables[LABELS_TABLE].append((entry, None))
            else:
                prediction = entry.prediction()
                tables[predictions_table(prediction["model"])].append((entry, prediction))
    return tables


def _reached(rows: "Sequence[_Row]") -> dict[tuple[str, str], int]:
    """Return the last sequence number of each process and model."""
    return {(row["process"], row["model"]): entry.sequence or 0 for entry, row in rows if row is not None}
