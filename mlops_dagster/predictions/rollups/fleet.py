"""Counts of all models at once: a look at a thousand models is a few queries."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Label, Select, Table, func, select

from mlops_dagster.predictions.records import SERVED, from_microseconds, microseconds
from mlops_dagster.predictions.rollups.compared import Cohort
from mlops_dagster.predictions.rollups.counting.tally import DAY, HOUR, MINUTE
from mlops_dagster.predictions.rollups.latency import LatencySummary, summarize
from mlops_dagster.predictions.rollups.queries import of_arms, sum_of, within
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.rollups.tables import arms, days, hour_latencies, hours, latencies, minutes, refused


class ServedBy(NamedTuple):
    """A version, as the one that the split chose to answer."""

    model: str
    version: str


class Failures(NamedTuple):
    """Requests, and how many of them failed."""

    failed: int
    requests: int


FailuresByHour: TypeAlias = Mapping[datetime, Failures]


def failures_by_hour(rollups: Rollups, since: datetime, until: datetime) -> dict[ServedBy, FailuresByHour]:
    """Return the requests that the split gave to each version, by the hour in which they came."""
    hour = (minutes.c.minute // (HOUR // MINUTE)).label("hour")
    query = (
        of_arms(minutes, arms.c.model, arms.c.version, hour, func.sum(minutes.c.errors), func.sum(minutes.c.requests))
        .where(arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(arms.c.model, arms.c.version, "hour")
    )
    found: defaultdict[ServedBy, dict[datetime, Failures]] = defaultdict(dict)
    for model, version, at, failed, requests in rollups.rows(query):
        found[ServedBy(model, version)][from_microseconds(at * HOUR)] = Failures(failed, requests)
    return dict(found)


def requests_by_model(rollups: Rollups, since: datetime, until: datetime) -> dict[str, int]:
    """Return the requests that the split gave to any version of each model; models without any are left out."""
    query = (
        of_arms(minutes, arms.c.model, func.sum(minutes.c.requests))
        .where(arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(arms.c.model)
    )
    return {model: requests for model, requests in rollups.rows(query) if requests}


class HourOfVersion(NamedTuple):
    """The events of a version in an hour, as `EventCounts` has them."""

    requests: int
    errors: int
    slow: int
    rows: int
    failed_rows: int
    labelled: int
    wrong: int

    def __add__(self, other: "HourOfVersion") -> "HourOfVersion":  # type: ignore[override]  # a sum
        return HourOfVersion(*(one + another for one, another in zip(self, other, strict=True)))

    @property
    def unlabelled(self) -> int:
        """The number of answered rows without a label."""
        return max(self.rows - self.failed_rows - self.labelled, 0)


class Totals(NamedTuple):
    """Requests of a model, and the rows of the answers to them."""

    requests: int
    failed: int
    answers: int
    """Rows that were answered."""
    labelled: int
    wrong: int

    def __add__(self, other: "Totals") -> "Totals":  # type: ignore[override]  # a sum, not a concatenation
        return Totals(*(one + another for one, another in zip(self, other, strict=True)))


NOTHING = Totals(0, 0, 0, 0, 0)


def added(totals: Iterable[Totals]) -> Totals:
    """Return the sum of all these totals.

    >>> added([Totals(1, 0, 1, 0, 0), Totals(2, 1, 1, 1, 1)])
    Totals(requests=3, failed=1, answers=2, labelled=1, wrong=1)
    """
    return Totals(*map(sum, zip(NOTHING, *totals, strict=True)))


def totals_by_day(rollups: Rollups, since: datetime, until: datetime) -> dict[str, dict[datetime, Totals]]:
    """Return what the split answered, by model and by the beginning of the day (UTC), in order."""
    found: defaultdict[str, dict[datetime, Totals]] = defaultdict(dict)
    for part in _parts(since, until, DAY):
        for model, at, *counts in rollups.rows(_totals(part, [arms.c.model], DAY)):
            of_model, day, its = found[model], from_microseconds(at * DAY), Totals(*counts)
            of_model[day] = of_model[day] + its if day in of_model else its
    return dict(found)


def champion_days(rollups: Rollups, model: str, version: str, since: datetime, until: datetime) -> dict[date, Cohort]:
    """Return the rows that a version answered as champion, and how many have a label, by day (UTC)."""
    found: defaultdict[date, Cohort] = defaultdict(lambda: Cohort(0, 0))
    for part in _parts(since, until, DAY):
        c, its = part.table.c, (arms.c.model == model) & (arms.c.version == version) & (arms.c.role == "champion")
        query = of_arms(part.table, part.begun(DAY), func.sum(c.rows - c.failed_rows), sum_of(part.table, "labelled"))
        for at, units, labelled in rollups.rows(
            query.where(its, part.at.between(part.first, part.last)).group_by("at").order_by("at")
        ):
            day = from_microseconds(at * DAY).date()
            found[day] = Cohort(found[day].units + int(units), found[day].labelled + int(labelled))
    return dict(found)


def totals_by_model(rollups: Rollups, since: datetime, until: datetime) -> dict[str, Totals]:
    """Return what the split answered, by model; the first hour is taken whole."""
    found: defaultdict[str, Totals] = defaultdict(lambda: NOTHING)
    for part in _parts(since, until, HOUR):
        for model, *counts in rollups.rows(_totals(part, [arms.c.model])):
            found[model] += Totals(*counts)
    return dict(found)


def awaiting_by_hour(rollups: Rollups, since: datetime, until: datetime) -> list[tuple[datetime, int, int]]:
    """Return (hour, answers, answers without a label) of all models together, oldest first."""
    found: defaultdict[int, Totals] = defaultdict(lambda: NOTHING)
    for part in _parts(since, until, HOUR):
        for at, *counts in rollups.rows(_totals(part, [], HOUR)):
            found[at] += Totals(*counts)
    return [
        (from_microseconds(at * HOUR), its.answers, its.answers - its.labelled) for at, its in sorted(found.items())
    ]


def held_by_model(rollups: Rollups, since: datetime, until: datetime) -> dict[str, int]:
    """Return the requests that were refused because their model was on hold."""
    query = (
        of_arms(refused, arms.c.model, func.sum(refused.c.n))
        .where(refused.c.status == "held", within(refused, since, until))
        .group_by(arms.c.model)
    )
    return {row[0]: row[1] for row in rollups.rows(query)}


def awaiting_by_minute(rollups: Rollups, since: datetime, until: datetime) -> list[tuple[datetime, int, int]]:
    """Return (minute, answers, answers without a label) of all models together, oldest first."""
    answers = func.sum(minutes.c.rows - minutes.c.failed_rows)
    of_split = select(arms.c.id).where(arms.c.role.in_(SERVED)).scalar_subquery()  # joined, every minute is read
    query = (
        select(minutes.c.minute, answers, answers - func.sum(minutes.c.labelled))
        .where(minutes.c.arm.in_(of_split), within(minutes, since, until))
        .group_by(minutes.c.minute)
        .order_by(minutes.c.minute)
    )
    return [(from_microseconds(minute * MINUTE), *counts) for minute, *counts in rollups.rows(query)]


def hours_by_version(
    rollups: Rollups, models: Collection[str], since: datetime, until: datetime
) -> dict[ServedBy, dict[datetime, HourOfVersion]]:
    """Return the events of each version of these models that the split gave it, by the hour, in order."""
    found: defaultdict[ServedBy, dict[datetime, HourOfVersion]] = defaultdict(dict)
    for part in _parts(since, until, HOUR):
        query = (
            of_arms(
                part.table,
                arms.c.model,
                arms.c.version,
                part.begun(HOUR),
                *(sum_of(part.table, name) for name in HourOfVersion._fields),
            )
            .where(arms.c.model.in_(models), arms.c.role.in_(SERVED), part.at.between(part.first, part.last))
            .group_by(arms.c.model, arms.c.version, "at")
            .order_by("at")
        )
        for model, version, hour, *counts in rollups.rows(query):
            found[ServedBy(model, version)][from_microseconds(hour * HOUR)] = HourOfVersion(*counts)
    return dict(found)


def latency_by_hour(
    rollups: Rollups, models: Collection[str], since: datetime, until: datetime
) -> dict[ServedBy, dict[datetime, Counter[int]]]:
    """Return the rows of each version of these models that the split gave it, by hour and bucket of their latency."""
    found: defaultdict[ServedBy, defaultdict[datetime, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for part in _parts(since, until, HOUR):
        of = part._replace(table=hour_latencies if part.unit == HOUR else latencies)
        bucket, n = of.table.c.bucket, func.sum(of.table.c.n)
        query = (
            of_arms(of.table, arms.c.model, arms.c.version, of.begun(HOUR), bucket, n)
            .where(arms.c.model.in_(models), arms.c.role.in_(SERVED), of.at.between(of.first, of.last))
            .group_by(arms.c.model, arms.c.version, "at", bucket)
        )
        for model, version, at, its, count in rollups.rows(query):
            found[ServedBy(model, version)][from_microseconds(at * HOUR)][its] = count
    return {version: dict(by_hour) for version, by_hour in found.items()}


def latency_by_model(rollups: Rollups, since: datetime, until: datetime) -> dict[str, Counter[int]]:
    """Return the rows that the split gave to any version of each model, by the bucket of their latency."""
    query = (
        of_arms(latencies, arms.c.model, latencies.c.bucket, func.sum(latencies.c.n))
        .where(arms.c.role.in_(SERVED), within(latencies, since, until))
        .group_by(arms.c.model, latencies.c.bucket)
    )
    found: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for model, bucket, n in rollups.rows(query):
        found[model][bucket] = n
    return dict(found)


def latency_by_version(rollups: Rollups, since: datetime, until: datetime) -> dict[ServedBy, LatencySummary]:
    """Return the latency of the rows that the split gave to each version."""
    query = (
        of_arms(latencies, arms.c.model, arms.c.version, latencies.c.bucket, func.sum(latencies.c.n))
        .where(arms.c.role.in_(SERVED), within(latencies, since, until))
        .group_by(arms.c.model, arms.c.version, latencies.c.bucket)
    )
    counts: defaultdict[ServedBy, dict[int, int]] = defaultdict(dict)
    for model, version, bucket, n in rollups.rows(query):
        counts[ServedBy(model, version)][bucket] = n
    summaries = {each: summarize(buckets) for each, buckets in counts.items()}
    return {each: summary for each, summary in summaries.items() if summary is not None}


class _Part(NamedTuple):
    """A part of a window that one table has: the first and last unit, of so many microseconds."""

    table: Table
    unit: int
    first: int
    last: int

    @property
    def at(self) -> ColumnElement[int]:
        """The column with the unit."""
        return self.table.c[{DAY: "day", HOUR: "hour", MINUTE: "minute"}[self.unit]]

    def begun(self, step: int) -> Label[int]:
        """Return the number of the step, of so many microseconds, that a unit is in, as `at`."""
        return (self.at // (step // self.unit)).label("at")


def _parts(since: datetime, until: datetime, coarsest: int) -> list[_Part]:
    """Return whole units of the coarsest table, then those of finer ones up to `until`; the first unit is whole."""
    found, begun = [], microseconds(since) // coarsest * coarsest
    for table, unit in ((days, DAY), (hours, HOUR), (minutes, MINUTE)):
        if unit <= coarsest:
            ends = microseconds(until) // unit if unit > MINUTE else (microseconds(until) - 1) // MINUTE + 1
            if begun // unit < ends:
                found.append(_Part(table, unit, begun // unit, ends - 1))
                begun = ends * unit
    return found


def _totals(part: _Part, keys: Sequence[ColumnElement[Any]], step: int | None = None) -> Select[*tuple[Any, ...]]:
    """Return the query for the sums of `Totals` by these keys, and by the step if there is one, in its order."""
    c = part.table.c
    answers = func.coalesce(func.sum(c.rows - c.failed_rows), 0)
    requests, failed, labelled, wrong = (sum_of(part.table, n) for n in ("requests", "errors", "labelled", "wrong"))
    steps = [] if step is None else [part.begun(step)]
    return (
        of_arms(part.table, *keys, *steps, requests, failed, answers, labelled, wrong)
        .where(arms.c.role.in_(SERVED), part.at.between(part.first, part.last))
        .group_by(*keys, *(each.name for each in steps))
        .order_by(*(each.name for each in steps))
    )
