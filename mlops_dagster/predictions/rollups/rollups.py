"""Counts per minute and hour of everything that was served, made from the entries of spools."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from mlops_dagster.database import purge_database, reading, removing, writing
from mlops_dagster.errors import CorruptedError, CountsLostError
from mlops_dagster.predictions.records import microseconds
from mlops_dagster.predictions.rollups.counting.addition import add_tally, cursor, knows, move_cursor
from mlops_dagster.predictions.rollups.counting.firsts import forget_keys
from mlops_dagster.predictions.rollups.counting.fold import BinsOf, SlowMsOf, TaskOf, classification, tally
from mlops_dagster.predictions.rollups.counting.tally import Tally
from mlops_dagster.predictions.rollups.expiry import (
    Unit,
    forget_bad_keys,
    forget_counts,
    is_final,
    set_final,
    stretches,
)
from mlops_dagster.predictions.rollups.heartbeats import Pulse
from mlops_dagster.predictions.rollups.reading import RollupReader
from mlops_dagster.predictions.rollups.tables import (
    KEPT,
    TABLES,
    cursors,
)
from mlops_dagster.predictions.spool.marks import Consumer
from mlops_dagster.predictions.spool.spool import Spool

_ENTRIES_AT_ONCE = 10_000  # the traffic of some seconds, and some 10 MB
DEFAULT_SLOW_MS = 200.0


class Rollups(RollupReader):
    """The rollups of spools, in a database; each entry is counted exactly once.

    In PostgreSQL, the counts of the spools of many machines add up. `consumer` is the name under which a spool notes
    how far its entries are counted here.
    """

    def __init__(self, url: str, consumer: Consumer = "rolled_up") -> None:
        super().__init__(url)
        self._pulse = Pulse()
        self.consumer = consumer

    def catch_up(
        self,
        spool: Spool,
        bins_of: BinsOf,
        *,
        task_of: TaskOf = classification,
        slow_ms_of: SlowMsOf = lambda _model: DEFAULT_SLOW_MS,
    ) -> int:
        """Add all entries of the spool, and write its heartbeat; return the number of the last entry rolled up.

        Several processes may try. Raises CountsLostError if counts are missing of entries that the spool has freed.
        """
        spool.index()  # makes entries of the arms that scored after their first label came
        if self.is_behind(spool):
            raise CountsLostError(
                "the counts that decisions read are lost, or an older copy of them was restored; `mlops serve` counts "
                "them again from the log, and so does `mlops predictions recount`"
            )
        while True:
            seen = self._cursor(spool)
            # Entries that another process added and freed meanwhile are missing here, but then it moved the cursor too.
            entries = spool.read(seen, _ENTRIES_AT_ONCE)
            number = entries[-1].number if entries else seen
            state = self._pulse.state_of(spool)
            if entries or state is not None:
                add = tally(entries, bins_of, slow_ms_of, task_of) if entries else None
                with writing(self._database, "mlops_dagster rollups") as connection:
                    if add is not None:
                        if not move_cursor(connection, spool.id, seen, number):
                            continue
                        add_tally(connection, add)
                    if state is not None:
                        self._pulse.tell(connection, state)
                if state is not None:
                    self._pulse.was_told(state)
            spool.marks.set(self.consumer, number)
            if len(entries) < _ENTRIES_AT_ONCE:
                return number

    def is_behind(self, spool: Spool) -> bool:
        """Return whether counts are missing of entries that the spool knows to be counted here, and may have freed."""
        taken_over = spool.marks.get(self.consumer)  # first: the cursor moves before the mark
        return taken_over > self._cursor(spool)

    def begin_anew(self, spool: Spool, number: int, by_model: Mapping[str, Iterable[Tally]]) -> dict[str, str]:
        """Replace the counts of the spool's entries up to `number` by these tallies: all of them at once, or none.

        A model whose tallies raise CorruptedError has no counts then; these models are returned, with the reasons. If
        there are counts of this spool, all counts are deleted, as those of several spools cannot be told apart; the
        counts of other spools are then missing, and `catch_up` of these spools raises CountsLostError. Counts of times
        of which the log has no rows any more (`forget_old`) stay.
        """
        unreadable = {}
        with writing(self._database, "mlops_dagster rollups") as connection:
            if knows(connection, spool.id):
                for table in (each for each in TABLES.sorted_tables if each not in KEPT):
                    last = is_final(table)
                    connection.execute(table.delete() if last is None else table.delete().where(~last))
            for model, tallies in by_model.items():
                try:
                    with connection.begin_nested():
                        for add in tallies:
                            add_tally(connection, add)
                except CorruptedError as error:
                    unreadable[model] = error.told
            connection.execute(cursors.insert().values(spool=spool.id, number=number))
        return unreadable

    def forget_keys(self, model: str, keys: Collection[str]) -> None:
        """Remove routing keys; their events stay counted. Raises StorageError."""
        with writing(self._database, "mlops_dagster rollups") as connection:
            forget_keys(connection, model, keys)
        purge_database(self._database)

    def forget_old(
        self,
        model: str,
        before: Mapping[Unit, datetime],
        *,
        logged_since: datetime | None,
        salts: Collection[str] | None,
        dry_run: bool = False,
    ) -> dict[Unit, int]:
        """Delete a model's counts before a time for each unit; return how many rows went. Raises StorageError.

        Args:
            model: the model.
            before: the time for counts by the minute, by the hour and by the day.
            logged_since: the time since when the log has rows: a recount keeps earlier counts; None if it has all.
            salts: the salts of deployments whose first bad events are still counted; None for all.
            dry_run: only count.
        """
        gone: Counter[Unit] = Counter()
        with reading(self._database) as connection:
            ends = {unit: list(stretches(connection, model, unit, at)) for unit, at in before.items()}
        for unit, at in before.items():
            for end in [microseconds(at)] if dry_run else ends[unit]:
                with removing(self._database, "mlops_dagster rollups", dry_run=dry_run) as connection:
                    gone[unit] += forget_counts(connection, model, unit, end, dry_run=dry_run)
        if not dry_run:
            with writing(self._database, "mlops_dagster rollups") as connection:
                if salts is not None:
                    forget_bad_keys(connection, model, salts)
                if logged_since is not None:
                    set_final(connection, model, logged_since)
        return dict(gone)

    def _cursor(self, spool: Spool) -> int:
        with reading(self._database) as connection:
            return cursor(connection, spool.id)
