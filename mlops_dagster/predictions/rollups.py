"""Counts per minute and hour of everything that was served: what operations and decisions read."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import ColumnElement, Engine, Executable, Row, Select, Table, case, func, literal, select, tuple_

from mlops_dagster.database import open_database, reading, writing
from mlops_dagster.predictions.latency import LatencySummary, summarize
from mlops_dagster.predictions.records import SERVED, Role, from_microseconds, microseconds
from mlops_dagster.predictions.rollup_addition import add_tally, cursor, digest_of, forget_key, move_cursor
from mlops_dagster.predictions.rollup_tables import (
    CELL_TYPE,
    TABLES,
    arms,
    cells,
    confusion,
    cursors,
    latencies,
    minutes,
    outputs,
    paired,
    shed,
)
from mlops_dagster.predictions.spool import Consumer, Spool
from mlops_dagster.predictions.tally import HOUR, MINUTE, BinsOf, SlowMsOf, tally
from mlops_dagster.statistics import Bins, Counts

_Any: TypeAlias = tuple[Any, ...]  # what a row holds, the query says and no type

_ENTRIES_AT_ONCE = 10_000  # the traffic of some seconds, and some 10 MB
DEFAULT_SLOW_MS = 200.0


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events of one version in one role at one weight.

    `bad_errors`, `bad_slow` and `bad_wrong` leave out all but the first of each routing key in a rollout: the
    independent events that e-values need. `errors`, `slow` and `wrong` are all of them.
    """

    version: str
    role: Role
    weight: float
    requests: int
    errors: int
    slow: int
    labelled: int
    wrong: int
    bad_errors: int
    bad_slow: int
    bad_wrong: int


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Requests, and of their errors the independent ones, as in `EventCounts`."""

    requests: int = 0
    bad_errors: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(self.requests + other.requests, self.bad_errors + other.bad_errors)


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Labelled rows that both versions scored. A win is the challenger right and the champion wrong."""

    wins: int
    losses: int
    ties: int
    first_loss_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShedCounts:
    """Scorings beside the answer that were left out, by the version that would have scored them."""

    version: str
    role: Role
    rows: int


@dataclass(frozen=True, slots=True)
class LabelDebt:
    """Answers of a window, and those of them whose label has not come. They are known by the minute."""

    answers: int
    awaiting: int
    oldest_at: datetime | None
    median_at: datetime | None
    """Half of what is awaited is older. The oldest alone says little: some labels never come."""


class Rollups:
    """Folds spools, each entry exactly once: the cursor of a spool moves in the transaction that adds the counts.

    In a file (`sqlite:///path`) or, for the spools of many machines, in PostgreSQL (`postgresql://user@host/database`);
    the counts of different spools add up. `consumer` is the name under which a spool notes what was taken over.
    The database is opened when it is first used, so it may be away before; then every method raises StorageError.

    Windows are [since, until) in event time (of pairs: in the time the label became known), widened to whole minutes,
    for feature counts to whole hours.
    """

    def __init__(self, url: str, consumer: Consumer = "rolled_up") -> None:
        self._engine = open_database(url)
        self.consumer = consumer

    def catch_up(self, spool: Spool, bins_of: BinsOf, *, slow_ms_of: SlowMsOf = lambda _model: DEFAULT_SLOW_MS) -> int:
        """Add all that is in the spool; returns the number of the last entry rolled up. Several processes may try."""
        while True:
            seen = self._cursor(spool)
            # What another process has added and freed meanwhile is missing here, but then it has moved the cursor too.
            entries = spool.read(seen, _ENTRIES_AT_ONCE)
            number = entries[-1].number if entries else seen
            if entries:
                add = tally(entries, bins_of, slow_ms_of)
                with writing(self._database, "mlops_dagster rollups") as connection:
                    if not move_cursor(connection, spool.id, seen, number):
                        continue
                    add_tally(connection, add)
            spool.mark(self.consumer, number)
            if len(entries) < _ENTRIES_AT_ONCE:
                return number

    def events(self, model: str, since: datetime, until: datetime) -> list[EventCounts]:
        """What happened, per version, role and weight."""
        names = ("requests", "errors", "slow", "labelled", "wrong", "bad_errors", "bad_slow", "bad_wrong")
        query = (
            _of_arms(
                minutes, arms.c.version, arms.c.role, arms.c.weight, *(func.sum(minutes.c[name]) for name in names)
            )
            .where(arms.c.model == model, _within(minutes, since, until))
            .group_by(arms.c.id)
            .order_by(arms.c.version, arms.c.role, arms.c.weight)
        )
        return [EventCounts(*row) for row in self._rows(query)]

    def errors_since(
        self, model: str, of: Collection[tuple[str, Role]], starts: Sequence[datetime], until: datetime
    ) -> list[ErrorCounts]:
        """What these versions did in these roles from each of the starts on; the starts rise."""
        if not starts:
            return []
        firsts = [microseconds(start) // MINUTE for start in starts]
        # Each minute belongs to the last start before it. Most are old, so the old ones are asked for first.
        spans = [(minutes.c.minute < after, number) for number, (_, after) in enumerate(pairwise(firsts))]
        span = (case(*spans, else_=len(spans)) if spans else literal(0)).label("span")
        query = (
            _of_arms(minutes, span, func.sum(minutes.c.requests), func.sum(minutes.c.bad_errors))
            .where(
                arms.c.model == model,
                tuple_(arms.c.version, arms.c.role).in_(list(of)),
                _within(minutes, starts[0], until),
            )
            .group_by("span")
        )
        found = {row[0]: ErrorCounts(row[1], row[2]) for row in self._rows(query)}
        newest_first = (found.get(number, ErrorCounts()) for number in reversed(range(len(starts))))
        return list(accumulate(newest_first))[::-1]

    def paired(self, model: str, champion: str, challenger: str, since: datetime, until: datetime) -> PairedCounts:
        """The challenger against the champion on the same rows."""
        table = paired.c
        query = select(
            *(func.coalesce(func.sum(each), 0) for each in (table.wins, table.losses, table.ties)),
            func.min(table.first_loss_at),
        ).where(
            table.model == model,
            table.champion == champion,
            table.challenger == challenger,
            _within(paired, since, until),
        )
        wins, losses, ties, first = self._rows(query)[0]
        return PairedCounts(wins, losses, ties, None if first is None else from_microseconds(first))

    def shed(self, model: str, since: datetime, until: datetime) -> list[ShedCounts]:
        """Scorings that were left out under overload, per version and role: how much evidence is missing."""
        query = (
            _of_arms(shed, arms.c.version, arms.c.role, func.sum(shed.c.n))
            .where(arms.c.model == model, _within(shed, since, until))
            .group_by(arms.c.version, arms.c.role)
            .order_by(arms.c.version, arms.c.role)
        )
        return [ShedCounts(*row) for row in self._rows(query)]

    def first_bad_at(self, model: str, version: str, since: datetime) -> datetime | None:
        """The first failed request of a version, or the first label that made it lose to the champion."""
        minute = microseconds(since) // MINUTE
        errors = _of_arms(minutes, func.min(minutes.c.first_error_at)).where(
            arms.c.model == model, arms.c.version == version, minutes.c.minute >= minute
        )
        losses = select(func.min(paired.c.first_loss_at)).where(
            paired.c.model == model, paired.c.challenger == version, paired.c.minute >= minute
        )
        firsts = [first for (first,) in self._rows(errors.union_all(losses)) if first is not None]
        return from_microseconds(min(firsts)) if firsts else None

    def first_at(self, model: str) -> datetime | None:
        """The minute of the first request to a model; None if there was none."""
        query = _of_arms(minutes, func.min(minutes.c.minute)).where(arms.c.model == model)
        first = self._rows(query)[0][0]
        return None if first is None else from_microseconds(first * MINUTE)

    def feature_counts(
        self,
        model: str,
        versions: Sequence[str] | None,
        since: datetime,
        until: datetime,
        bins: Mapping[str, Bins] | None = None,
    ) -> dict[str, Counts]:
        """Counts of every feature and of "score" in what the split served, added over versions (None: all).

        With `bins`, what versions of another schema served is left out: only what was counted in these. Without, a
        feature that the versions counted in different ones is left out: its counts do not add up.
        """
        found: defaultdict[str, list[bytes]] = defaultdict(list)
        wanted = {} if bins is None else {feature: digest_of(its) for feature, its in bins.items()}
        mixed = set()
        query = _of_arms(cells, cells.c.feature, cells.c.bins, cells.c.counts).where(
            _served(model, versions), cells.c.hour.between(*_window(since, until, HOUR))
        )
        for feature, its, counts in self._rows(query):
            if bins is None and wanted.setdefault(feature, its) != its:
                mixed.add(feature)
            if wanted.get(feature) == its:
                found[feature].append(counts)
        return {
            feature: np.frombuffer(b"".join(hours), dtype=CELL_TYPE).reshape(len(hours), -1).sum(axis=0, dtype=np.int64)
            for feature, hours in found.items()
            if feature not in mixed
        }

    def rows_by_hour(
        self, model: str, since: datetime, until: datetime, bins: Mapping[str, Bins]
    ) -> dict[str, tuple[dict[datetime, int], dict[datetime, int]]]:
        """Of each of these features: the rows of every hour that were counted in these bins, and in any."""
        wanted = {feature: digest_of(its) for feature, its in bins.items()}
        found: dict[str, tuple[Counter[datetime], Counter[datetime]]] = {
            feature: (Counter(), Counter()) for feature in bins
        }
        query = _of_arms(cells, cells.c.feature, cells.c.bins, cells.c.hour, cells.c.counts).where(
            _served(model, None), cells.c.hour.between(*_window(since, until, HOUR))
        )
        for feature, its, hour, counts in self._rows(query):
            if feature in found:
                rows, at = int(np.frombuffer(counts, dtype=CELL_TYPE).sum()), from_microseconds(hour * HOUR)
                found[feature][1][at] += rows
                if wanted[feature] == its:
                    found[feature][0][at] += rows
        return {feature: (dict(counted), dict(rows)) for feature, (counted, rows) in found.items()}

    def versions(self, model: str, since: datetime, until: datetime) -> list[str]:
        """The versions that the split answered with, of which features were counted in the window."""
        query = (
            _of_arms(cells, arms.c.version)
            .where(_served(model, None), cells.c.hour.between(*_window(since, until, HOUR)))
            .distinct()
            .order_by(arms.c.version)
        )
        return [version for (version,) in self._rows(query)]

    def label_counts(self, model: str, since: datetime, until: datetime) -> dict[str, int]:
        """How often each label came, over what the split served in the window."""
        counts: Counter[str] = Counter()
        for (label, _), n in self.confusion(model, None, since, until).items():
            counts[label] += n
        return dict(counts)

    def label_debt(self, model: str, since: datetime, until: datetime) -> LabelDebt:
        """What was answered by the split in the window and has no label yet."""
        answered = func.sum(minutes.c.requests - minutes.c.errors)
        query = (
            _of_arms(minutes, minutes.c.minute, answered, answered - func.sum(minutes.c.labelled))
            .where(_served(model, None), _within(minutes, since, until))
            .group_by(minutes.c.minute)
            .order_by(minutes.c.minute)
        )
        rows = self._rows(query)
        waiting = [(from_microseconds(minute * MINUTE), n) for minute, _, n in rows if n > 0]
        half = sum(n for _, n in waiting) / 2
        reached = accumulate(n for _, n in waiting)
        median = next((at for (at, _), so_far in zip(waiting, reached, strict=True) if so_far >= half), None)
        oldest = waiting[0][0] if waiting else None
        return LabelDebt(sum(n for _, n, _ in rows), sum(n for _, n in waiting), oldest, median)

    def models(self) -> list[str]:
        """Every model that was asked something."""
        return [row[0] for row in self._rows(select(arms.c.model).distinct().order_by(arms.c.model))]

    def output_counts(self, model: str, version: str | None, since: datetime, until: datetime) -> dict[str, int]:
        """How often the split answered with each class in the window (version None: all)."""
        table = outputs.c
        query = _summed(outputs, [table.prediction], model, version, since, until).order_by(table.prediction)
        return {row[0]: row[1] for row in self._rows(query)}

    def confusion(
        self, model: str, version: str | None, since: datetime, until: datetime
    ) -> dict[tuple[str, str], int]:
        """(label, prediction) -> count, of what the split served in the window and has a label (version None: all)."""
        keys = [confusion.c.label, confusion.c.prediction]
        query = _summed(confusion, keys, model, version, since, until).order_by(*keys)
        return {(label, prediction): n for label, prediction, n in self._rows(query)}

    def latency(self, model: str, version: str | None, since: datetime, until: datetime) -> LatencySummary | None:
        """Latency of what the split served (version None: all); None if nothing was."""
        query = _summed(latencies, [latencies.c.bucket], model, version, since, until)
        return summarize({row[0]: row[1] for row in self._rows(query)})

    def cursors(self) -> dict[str, int]:
        """How far which spool was rolled up, by the spool's id: a spool that is lost stays known here."""
        return {row[0]: row[1] for row in self._rows(select(cursors.c.spool, cursors.c.number))}

    def forget_key(self, model: str, key: str) -> None:
        """Remove a routing key; what was counted of it stays counted."""
        with writing(self._database, "mlops_dagster rollups") as connection:
            forget_key(connection, model, key)

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def _database(self) -> Engine:
        with writing(self._engine, "mlops_dagster rollups") as connection:
            TABLES.create_all(connection)
        return self._engine

    def _cursor(self, spool: Spool) -> int:
        with reading(self._database) as connection:
            return cursor(connection, spool.id)

    def _rows(self, query: Executable) -> Sequence[Row[*_Any]]:
        with reading(self._database) as connection:
            return connection.execute(query).all()


def _of_arms(table: Table, *columns: ColumnElement[Any]) -> Select[*_Any]:
    return select(*columns).join_from(arms, table, arms.c.id == table.c.arm)


def _summed(
    table: Table, keys: Sequence[ColumnElement[Any]], model: str, version: str | None, since: datetime, until: datetime
) -> Select[*_Any]:
    """The counts `n` by these keys, of what the split served."""
    return (
        _of_arms(table, *keys, func.sum(table.c.n))
        .where(_served(model, None if version is None else [version]), _within(table, since, until))
        .group_by(*keys)
    )


def _served(model: str, versions: Sequence[str] | None) -> ColumnElement[bool]:
    served = (arms.c.model == model) & arms.c.role.in_(SERVED)
    return served if versions is None else served & arms.c.version.in_(versions)


def _within(table: Table, since: datetime, until: datetime) -> ColumnElement[bool]:
    return table.c.minute.between(*_window(since, until, MINUTE))


def _window(since: datetime, until: datetime, unit: int) -> tuple[int, int]:
    """First and last unit that [since, until) touches."""
    return microseconds(since) // unit, (microseconds(until) - 1) // unit
