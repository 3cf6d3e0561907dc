"""Rollups of two versions that scored the same requests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, func, select

from mlops_dagster.predictions.records import SERVED, from_microseconds
from mlops_dagster.predictions.rollups.counting.tally import MINUTE
from mlops_dagster.predictions.rollups.counts import BothScored, PairedCounts
from mlops_dagster.predictions.rollups.queries import added_up, span_of, sum_of, within
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.rollups.tables import arms, minutes, outcomes, pairs

COHORT_MINUTES = 10
MINUTES_A_DAY = 24 * 60
COHORT = timedelta(minutes=COHORT_MINUTES)
_DAY_MINUTES = 24 * 60


class Cohort(NamedTuple):
    """The units of some minutes, or the rows of a day, in event time, and how many of them have a label."""

    units: int
    labelled: int


class Pair(NamedTuple):
    """Two versions that scored the same requests of a model."""

    model: str
    champion: str
    challenger: str

    def both_scored(self, rollups: Rollups, starts: Sequence[datetime], until: datetime) -> list[BothScored]:
        """Count the requests that both scored, from each of `starts` (ascending, at least one) on to `until`."""
        span = span_of(pairs, starts)
        query = (
            select(span, *(sum_of(pairs, each.name) for each in fields(BothScored)))
            .where(self._its(pairs), within(pairs, starts[0], until))
            .group_by("span")
        )
        return added_up({row[0]: BothScored(*row[1:]) for row in rollups.rows(query)}, len(starts), BothScored())

    def outcomes(
        self, rollups: Rollups, starts: Sequence[datetime], until: datetime
    ) -> list[Mapping[str, PairedCounts]]:
        """Return wins, losses and ties by true class, of predictions from each of the starts on."""
        query = (
            select(span_of(outcomes, starts), outcomes.c.label, *_wins_losses_ties())
            .where(self._its(outcomes), within(outcomes, starts[0], until))
            .group_by("span", outcomes.c.label)
        )
        found: defaultdict[str, dict[int, PairedCounts]] = defaultdict(dict)
        for number, label, *counts in rollups.rows(query):
            found[label][number] = PairedCounts(*counts)
        since = {label: added_up(spans, len(starts), PairedCounts()) for label, spans in sorted(found.items())}
        return [
            {label: counts[number] for label, counts in since.items() if counts[number].total}
            for number in range(len(starts))
        ]

    def outcomes_by_day(self, rollups: Rollups, since: datetime, until: datetime) -> list[PairedCounts]:
        """Return wins, losses and ties of each day (UTC) that has any, in order."""
        day = (outcomes.c.minute // _DAY_MINUTES).label("day")
        query = (
            select(day, *_wins_losses_ties())
            .where(self._its(outcomes), within(outcomes, since, until))
            .group_by("day")
            .order_by("day")
        )
        return [PairedCounts(*row[1:]) for row in rollups.rows(query)]

    def cohorts(self, rollups: Rollups, since: datetime, until: datetime) -> dict[datetime, Cohort]:
        """Return the units that both versions predicted, by the beginning of their ten minutes."""
        scored = (
            select(_cohort(pairs), func.sum(pairs.c.units))
            .where(self._its(pairs), within(pairs, since, until))
            .group_by("cohort")
        )
        labels = outcomes.c.wins + outcomes.c.losses + outcomes.c.ties
        labelled = (
            select(_cohort(outcomes), func.sum(labels))
            .where(self._its(outcomes), within(outcomes, since, until))
            .group_by("cohort")
        )
        known = {row[0]: int(row[1]) for row in rollups.rows(labelled)}
        return {_time(row[0]): Cohort(int(row[1]), known.get(row[0], 0)) for row in rollups.rows(scored)}

    def _its(self, table: Table) -> ColumnElement[bool]:
        c = table.c
        return (c.model == self.model) & (c.champion == self.champion) & (c.challenger == self.challenger)


def arm_cohorts(rollups: Rollups, model: str, version: str, since: datetime, until: datetime) -> dict[datetime, Cohort]:
    """Return the units that a version answered while it shared the traffic, by the beginning of their ten minutes."""
    query = (
        select(_cohort(minutes), func.sum(minutes.c.units), func.sum(minutes.c.unit_labels))
        .join_from(arms, minutes, arms.c.id == minutes.c.arm)
        .where(arms.c.model == model, arms.c.version == version, arms.c.role.in_(SERVED), arms.c.weight < 1)
        .where(within(minutes, since, until))
        .group_by("cohort")
    )
    return {_time(row[0]): Cohort(int(row[1]), int(row[2])) for row in rollups.rows(query)}


def _cohort(table: Table) -> ColumnElement[int]:
    return (table.c.minute // COHORT_MINUTES).label("cohort")


def _time(cohort: int) -> datetime:
    return from_microseconds(cohort * COHORT_MINUTES * MINUTE)


def _wins_losses_ties() -> list[ColumnElement[int]]:
    return [sum_of(outcomes, name) for name in ("wins", "losses", "ties")]
