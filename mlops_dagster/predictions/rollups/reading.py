"""Reads of the counts per minute and hour of everything that was served."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Engine, Executable, Row, func, select

from mlops_dagster.database import open_database, reading, writing
from mlops_dagster.predictions.records import Role, from_microseconds, microseconds
from mlops_dagster.predictions.rollups import heartbeats
from mlops_dagster.predictions.rollups.counting.addition import digest_of
from mlops_dagster.predictions.rollups.counting.tally import MINUTE
from mlops_dagster.predictions.rollups.counts import ArmEvents, EventCounts, RefusedCounts, ShedCounts
from mlops_dagster.predictions.rollups.heartbeats import Heartbeat
from mlops_dagster.predictions.rollups.label_debt import LabelDebt
from mlops_dagster.predictions.rollups.latency import LatencySummary, summarize
from mlops_dagster.predictions.rollups.queries import added_up, of_arms, served, span_of, sum_of, summed, within
from mlops_dagster.predictions.rollups.tables import (
    CELL_TYPE,
    TABLES,
    arms,
    cells,
    confusion,
    cursors,
    latencies,
    minutes,
    outcomes,
    refused,
    shed,
)
from mlops_dagster.statistics import Bins, Counts

_Any: TypeAlias = tuple[Any, ...]  # the query determines a row's columns
_EVENTS = {each.name: sum_of(minutes, each.name) for each in fields(EventCounts)}
"""Made once: making them takes longer than SQLite takes to add up."""


class RollupReader:
    """The counts of a database of rollups, as operations and decisions read them.

    The database is a file (`sqlite:///path`) or PostgreSQL (`postgresql://user@host/database`). It is opened at its
    first use, so it may be away before; then every method raises StorageError.

    Windows are [since, until) in event time, widened to whole minutes,
    for counts of features, predictions and labels to whole hours.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)

    def events(self, model: str, since: datetime, until: datetime) -> list[ArmEvents]:
        """Return the events in the window, by version, role and weight."""
        return self.events_since(model, [since], until)[0]

    def events_since(
        self, model: str, starts: Sequence[datetime], until: datetime, *, only: Sequence[str] = ()
    ) -> list[list[ArmEvents]]:
        """Return the events from each of `starts` on to `until`; the starts ascend, and there is at least one.

        With `only`, just these counts are added up, "rows" among them, which takes a fraction of the time; the others
        are 0.
        """
        span, names = span_of(minutes, starts), only or tuple(_EVENTS)
        query = (
            of_arms(minutes, span, arms.c.version, arms.c.role, arms.c.weight, *(_EVENTS[name] for name in names))
            .where(arms.c.model == model, within(minutes, starts[0], until))
            .group_by("span", arms.c.id)
        )
        found: defaultdict[tuple[str, Role, float], dict[int, EventCounts]] = defaultdict(dict)
        for number, version, role, weight, *counts in self.rows(query):
            found[version, role, weight][number] = EventCounts(**dict(zip(names, counts, strict=True)))
        since = {arm: added_up(spans, len(starts), EventCounts()) for arm, spans in sorted(found.items())}
        return [
            [ArmEvents(*arm, counts[number]) for arm, counts in since.items() if counts[number].rows]
            for number in range(len(starts))
        ]

    def champion_requests(self, model: str, since: datetime, until: datetime) -> dict[str, int]:
        """Return how many requests of the window each version answered as champion."""
        query = (
            of_arms(minutes, arms.c.version, sum_of(minutes, "requests"))
            .where(arms.c.model == model, arms.c.role == "champion", within(minutes, since, until))
            .group_by(arms.c.version)
        )
        return {row[0]: row[1] for row in self.rows(query)}

    def series(
        self, model: str, since: datetime, until: datetime, step: timedelta, *, version: str | None = None
    ) -> dict[datetime, EventCounts]:
        """Return the events that the split served in each step of the window, by its beginning, in order.

        Steps of whole minutes are counted from 1970-01-01 on, so that those of hours and days are UTC's; a step without
        events is left out. `version` None adds up all versions. It is one query, whatever the number of steps.
        """
        length = step // timedelta(minutes=1)
        at = (minutes.c.minute // length).label("step")
        query = (
            of_arms(minutes, at, *_EVENTS.values())
            .where(served(model, None if version is None else [version]), within(minutes, since, until))
            .group_by("step")
            .order_by("step")
        )
        return {from_microseconds(row[0] * length * MINUTE): EventCounts(*row[1:]) for row in self.rows(query)}

    def shed(self, model: str, since: datetime, until: datetime) -> list[ShedCounts]:
        """Return the scorings left out under overload, by version and role: the amount of evidence that is missing."""
        query = (
            of_arms(shed, arms.c.version, arms.c.role, func.sum(shed.c.n))
            .where(arms.c.model == model, within(shed, since, until))
            .group_by(arms.c.version, arms.c.role)
            .order_by(arms.c.version, arms.c.role)
        )
        return [ShedCounts(*row) for row in self.rows(query)]

    def refused(self, model: str, since: datetime, until: datetime) -> list[RefusedCounts]:
        """Return the requests of the window that were rejected or held, by version, status and code of the error."""
        keys = (arms.c.version, refused.c.status, refused.c.code)
        query = (
            of_arms(refused, *keys, func.sum(refused.c.n))
            .where(arms.c.model == model, within(refused, since, until))
            .group_by(*keys)
            .order_by(*keys)
        )
        return [RefusedCounts(*row) for row in self.rows(query)]

    def first_bad_at(self, model: str, version: str, since: datetime) -> datetime | None:
        """Return the time of a version's first failed request or first loss to the champion by a label; or None."""
        minute = microseconds(since) // MINUTE
        errors = of_arms(minutes, func.min(minutes.c.first_error_at)).where(
            arms.c.model == model, arms.c.version == version, minutes.c.minute >= minute
        )
        losses = select(func.min(outcomes.c.first_loss_at)).where(
            outcomes.c.model == model, outcomes.c.challenger == version, outcomes.c.minute >= minute
        )
        firsts = [first for (first,) in self.rows(errors.union_all(losses)) if first is not None]
        return from_microseconds(min(firsts)) if firsts else None

    def first_at(self, model: str) -> datetime | None:
        """Return the minute of the first request to a model; None if there was none."""
        query = of_arms(minutes, func.min(minutes.c.minute)).where(arms.c.model == model)
        first = self.rows(query)[0][0]
        return None if first is None else from_microseconds(first * MINUTE)

    def feature_counts(
        self,
        model: str,
        versions: Sequence[str] | None,
        since: datetime,
        until: datetime,
        bins: Mapping[str, Bins] | None = None,
    ) -> dict[str, Counts]:
        """Return the counts of every feature and of "score" in rows the split served, summed over versions (None: all).

        With `bins`, only rows counted in these bins are added, so rows served by versions with another schema are left
        out. Without `bins`, a feature that was counted in different bins is left out, because its counts do not add up.
        """
        found: defaultdict[str, list[bytes]] = defaultdict(list)
        wanted = {} if bins is None else {feature: digest_of(its) for feature, its in bins.items()}
        mixed = set()
        query = of_arms(cells, cells.c.feature, cells.c.bins, cells.c.counts).where(
            served(model, versions), within(cells, since, until)
        )
        for feature, its, counts in self.rows(query):
            if bins is None and wanted.setdefault(feature, its) != its:
                mixed.add(feature)
            if wanted.get(feature) == its:
                found[feature].append(counts)
        return {
            feature: np.frombuffer(b"".join(hours), dtype=CELL_TYPE).reshape(len(hours), -1).sum(axis=0, dtype=np.int64)
            for feature, hours in found.items()
            if feature not in mixed
        }

    def versions(self, model: str, since: datetime, until: datetime) -> list[str]:
        """Return the versions that the split answered with, and whose features were counted, in the window."""
        query = (
            of_arms(cells, arms.c.version)
            .where(served(model, None), within(cells, since, until))
            .distinct()
            .order_by(arms.c.version)
        )
        return [version for (version,) in self.rows(query)]

    def label_counts(
        self, model: str, since: datetime, until: datetime, *, version: str | None = None
    ) -> dict[str, int]:
        """Return the count of each label, of rows that the split served in the window (version None: all versions)."""
        query = summed(confusion, [confusion.c.label], model, version, since, until).order_by(confusion.c.label)
        return {row[0]: row[1] for row in self.rows(query)}

    def label_debt(self, model: str, since: datetime, until: datetime) -> LabelDebt:
        """Return how many rows the split answered in the window, and how many of them have no label yet."""
        answered = func.sum(minutes.c.rows - minutes.c.failed_rows)
        query = (
            of_arms(minutes, minutes.c.minute, answered, answered - func.sum(minutes.c.labelled))
            .where(served(model, None), within(minutes, since, until))
            .group_by(minutes.c.minute)
            .order_by(minutes.c.minute)
        )
        return LabelDebt.of([(from_microseconds(row[0] * MINUTE), row[1], row[2]) for row in self.rows(query)])

    def models(self) -> list[str]:
        """Return every model that ever had a request."""
        return [row[0] for row in self.rows(select(arms.c.model).distinct().order_by(arms.c.model))]

    def confusion(
        self, model: str, version: str | None, since: datetime, until: datetime
    ) -> dict[tuple[str, str], int]:
        """Return (label, prediction) -> count, of labelled rows that the split served (version None: all)."""
        keys = [confusion.c.label, confusion.c.prediction]
        query = summed(confusion, keys, model, version, since, until).order_by(*keys)
        return {(label, prediction): n for label, prediction, n in self.rows(query)}

    def latency(self, model: str, version: str | None, since: datetime, until: datetime) -> LatencySummary | None:
        """Return the latency of the rows that the split served (version None: all); None if there were none."""
        query = summed(latencies, [latencies.c.bucket], model, version, since, until)
        return summarize({row[0]: row[1] for row in self.rows(query)})

    def cursors(self) -> dict[str, int]:
        """Return the number of the last entry rolled up, by the spool's id."""
        return {row[0]: row[1] for row in self.rows(select(cursors.c.spool, cursors.c.number))}

    def heartbeats(self) -> list[Heartbeat]:
        """Return the last heartbeat of every spool: a spool that is lost stays known here."""
        with reading(self._database) as connection:
            return heartbeats.read(connection)

    def rows(self, query: Executable) -> Sequence[Row[*_Any]]:
        """Return the rows that a query of the tables finds."""
        with reading(self._database) as connection:
            return connection.execute(query).all()

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def _database(self) -> Engine:
        with writing(self._engine, "mlops_dagster rollups") as connection:
            TABLES.create_all(connection)
        return self._engine
