"""Observations of requests: failed ones, slow ones, and none at all."""

from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting.judging import Counted, Missing, Observation, Seen, Watch
from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.watching.fleet import HOUR, counted_since
from mlops_dagster.loop.watching.increments import Count, increment
from mlops_dagster.loop.watching.subject import Subject
from mlops_dagster.predictions import ServedBy

_WIDER: Final = (HOUR, timedelta(days=1))
"""The windows of a model with few requests."""

_OLDEST: Final = timedelta(days=7)
"""The longest time without a look after which requests are still counted."""


def failed_requests(subject: Subject, watch: Watch) -> Observation | None:
    """Return the champion's requests since the last look, and how many of them failed."""
    limits = subject.alerts.error_rate
    begun = watch.through if watch.version == subject.champion else None
    since = counted_since(max(begun or subject.now, subject.now - _OLDEST))
    found = increment(watch.kept if begun else (), _failures(subject, since), since)
    new = found.new if begun else Count(0, 0)
    rows = (limits and limits.rows_per_observation) or 1.0
    counts = {"": Counted(new.bad, new.trials, rows_per_observation=rows)}
    return Seen(subject.champion, counts=counts, kept=found.kept)


def _failures(subject: Subject, since: datetime) -> dict[datetime, Count]:
    """Return the champion's requests by hour; they are asked for by themselves if the last look was long ago."""
    if since >= subject.fleet.since:
        by_hour = subject.fleet.failures.get(ServedBy(subject.model, subject.champion), {})
        return {hour: Count(each.failed, each.requests) for hour, each in by_hour.items()}
    series = subject.stores.rollups.series(subject.model, since, subject.now, HOUR, version=subject.champion)
    return {hour: Count(each.errors, each.requests) for hour, each in series.items()}


def slow_answers(subject: Subject, _watch: Watch) -> Observation | None:
    """Return the champion's 99th percentile, of ten minutes, or of an hour or a day if these had too few requests."""
    limits = subject.alerts.p99_ms
    least = 1 if limits is None else limits.min_samples
    version = ServedBy(subject.model, subject.champion)
    found, hours = subject.fleet.latency.get(version), 1 / 6
    if found is None and not subject.fleet.failures.get(version):
        return Missing(f"0 of {counted(least, 'requests')}")
    for window in _WIDER:
        if found is None or found.requests < least:
            found = subject.stores.rollups.latency(subject.model, subject.champion, subject.now - window, subject.now)
            hours = window / HOUR
    if found is None or found.requests < least:
        return Missing(f"{0 if found is None else found.requests} of {counted(least, 'requests')} in a day")
    return Seen(subject.champion, found.p99, found.requests, kept=(hours,))


def silence(subject: Subject, _watch: Watch) -> Observation | None:
    """Return 1 if an hour passed without requests whose like a week before had some, else 0; None if nothing is due."""
    limits = subject.alerts.no_traffic
    before = subject.fleet.requests_last_week.get(subject.model, 0)
    if subject.fleet.requests.get(subject.model, 0):
        return Seen()
    if limits is None or before < limits.min_requests:
        return None
    return Seen(None, 1.0, before)
