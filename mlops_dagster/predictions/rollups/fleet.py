"""Counts of all models at once: a look at a thousand models is a few queries."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, func

from mlops_dagster.predictions.records import SERVED, from_microseconds
from mlops_dagster.predictions.rollups.counting.tally import HOUR, MINUTE
from mlops_dagster.predictions.rollups.counts import EventCounts
from mlops_dagster.predictions.rollups.latency import LatencySummary, summarize
from mlops_dagster.predictions.rollups.queries import of_arms, sum_of, within
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.rollups.tables import arms, latencies, minutes, refused


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


def totals_by_day(rollups: Rollups, since: datetime, until: datetime) -> dict[str, dict[datetime, Totals]]:
    """Return what the split answered, by model and by the beginning of the day (UTC)."""
    day = (minutes.c.minute // (24 * HOUR // MINUTE)).label("day")
    query = (
        of_arms(minutes, arms.c.model, day, *_totals())
        .where(arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(arms.c.model, "day")
        .order_by("day")
    )
    found: defaultdict[str, dict[datetime, Totals]] = defaultdict(dict)
    for model, at, *counts in rollups.rows(query):
        found[model][from_microseconds(at * 24 * HOUR)] = Totals(*counts)
    return dict(found)


def totals_by_model(rollups: Rollups, since: datetime, until: datetime) -> dict[str, Totals]:
    """Return what the split answered, by model."""
    query = (
        of_arms(minutes, arms.c.model, *_totals())
        .where(arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(arms.c.model)
    )
    return {model: Totals(*counts) for model, *counts in rollups.rows(query)}


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
    query = (
        of_arms(minutes, minutes.c.minute, answers, answers - func.sum(minutes.c.labelled))
        .where(arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(minutes.c.minute)
        .order_by(minutes.c.minute)
    )
    return [(from_microseconds(minute * MINUTE), *counts) for minute, *counts in rollups.rows(query)]


def hours_by_version(
    rollups: Rollups, models: Collection[str], since: datetime, until: datetime
) -> dict[ServedBy, dict[datetime, EventCounts]]:
    """Return the events of each version of these models that the split gave it, by the hour, in order."""
    hour = (minutes.c.minute // (HOUR // MINUTE)).label("hour")
    query = (
        of_arms(minutes, arms.c.model, arms.c.version, hour, *(sum_of(minutes, each.name) for each in _EVENTS))
        .where(arms.c.model.in_(models), arms.c.role.in_(SERVED), within(minutes, since, until))
        .group_by(arms.c.model, arms.c.version, "hour")
        .order_by("hour")
    )
    found: defaultdict[ServedBy, dict[datetime, EventCounts]] = defaultdict(dict)
    for model, version, at, *counts in rollups.rows(query):
        found[ServedBy(model, version)][from_microseconds(at * HOUR)] = EventCounts(*counts)
    return dict(found)


def latency_by_hour(
    rollups: Rollups, models: Collection[str], since: datetime, until: datetime
) -> dict[ServedBy, dict[datetime, Counter[int]]]:
    """Return the rows of each version of these models that the split gave it, by hour and bucket of their latency."""
    hour = (latencies.c.minute // (HOUR // MINUTE)).label("hour")
    bucket = latencies.c.bucket
    query = (
        of_arms(latencies, arms.c.model, arms.c.version, hour, bucket, func.sum(latencies.c.n))
        .where(arms.c.model.in_(models), arms.c.role.in_(SERVED), within(latencies, since, until))
        .group_by(arms.c.model, arms.c.version, "hour", bucket)
    )
    found: defaultdict[ServedBy, defaultdict[datetime, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for model, version, at, its, n in rollups.rows(query):
        found[ServedBy(model, version)][from_microseconds(at * HOUR)][its] = n
    return {version: dict(hours) for version, hours in found.items()}


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


_EVENTS = fields(EventCounts)


def _totals() -> list[ColumnElement[int]]:
    return [
        sum_of(minutes, "requests"),
        sum_of(minutes, "errors"),
        func.coalesce(func.sum(minutes.c.rows - minutes.c.failed_rows), 0),
        sum_of(minutes, "labelled"),
        sum_of(minutes, "wrong"),
    ]
