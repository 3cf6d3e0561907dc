"""Counts of all models at once: a look at a thousand models is a few queries."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sqlalchemy import func

from mlops_dagster.predictions.records import SERVED, from_microseconds
from mlops_dagster.predictions.rollups.counting.tally import HOUR, MINUTE
from mlops_dagster.predictions.rollups.latency import LatencySummary, summarize
from mlops_dagster.predictions.rollups.queries import of_arms, within
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.rollups.tables import arms, latencies, minutes


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
