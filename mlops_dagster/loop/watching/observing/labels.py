"""Observations of labels: wrong answers in the order in which their labels come, and labels that do not come."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from mlops_dagster.alerting.judging import Counted, Observation, Seen, Watch
from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.watching.due import is_due
from mlops_dagster.loop.watching.fleet import HOUR
from mlops_dagster.loop.watching.increments import Count, day_of, increment
from mlops_dagster.loop.watching.subject import Subject
from mlops_dagster.monitoring.policy import wrong_answers
from mlops_dagster.predictions import EventCounts
from mlops_dagster.registry.cards import OVERALL

_DAY: Final = timedelta(days=1)
_REACH: Final = timedelta(days=30)
"""Labels of older predictions are not looked at."""
_RECENT: Final = timedelta(days=2)
"""Labels of older predictions are looked at once an hour."""

_KNOWN_DAYS: Final = 7
"""The days after which the usual time is known."""
_LEAST_WAITING: Final = 20


def wrong_labels(subject: Subject, watch: Watch) -> Observation | None:
    """Return the champion's labels that came since the last look, and how many of them were of wrong answers."""
    begun = watch.through if watch.version == subject.champion else None
    whole = begun is None or is_due(subject.model, begun, subject.now, HOUR)
    oldest = day_of(subject.now - _REACH)
    since = oldest if whole or begun is None else day_of(min(begun, subject.now) - _RECENT)
    by_day = subject.stores.rollups.series(subject.model, since, subject.now, _DAY, version=subject.champion)
    totals = {day: Count(each.wrong, each.labelled) for day, each in by_day.items()}
    rows, *kept = watch.kept if begun else (1.0,)
    if whole:
        rows = _rows_per_observation(subject, by_day)
    found = increment(tuple(kept), totals, oldest)
    new = found.new if begun else Count(0, 0)
    counts = {"": Counted(new.bad, new.trials, rows_per_observation=rows)}
    return Seen(subject.champion, counts=counts, kept=(rows, *found.kept))


def _rows_per_observation(subject: Subject, by_day: dict[datetime, EventCounts]) -> float:
    """Return the labels that are worth one: as the policy has it, else as the evaluation showed, else 1."""
    limits = subject.alerts.accuracy
    if limits is not None and limits.rows_per_observation is not None:
        return limits.rows_per_observation
    baseline = subject.stores.registry.get(subject.model, subject.champion).baseline
    effect = None if baseline is None else baseline.design_effects.get(wrong_answers(OVERALL))
    if effect is None:
        return 1.0
    days = [each.labelled for each in by_day.values() if each.labelled]
    return (effect.at(sum(days) / len(days)) if days else effect).of_many_blocks


def debt(subject: Subject, watch: Watch) -> Observation | None:
    """Return how long labels have not come for answers that wait, as a multiple of the usual time; None without labels.

    The usual time is the median of the longest of each day, over 30 days; days that end with an alert do not count.
    """
    by_hour = subject.stores.rollups.series(subject.model, subject.now - _REACH, subject.now, HOUR)
    if not any(each.labelled for each in by_hour.values()):
        return None
    since, waiting = _standing(by_hour)
    age = 0.0 if since is None or waiting < _LEAST_WAITING else (subject.now - since) / HOUR
    today = day_of(subject.now).timestamp()
    day, longest, *ages = watch.kept or (today, 0.0)
    if day < today:
        if watch.severity is None:
            ages = [*ages, longest][-30:]
        longest = 0.0
    kept = (today, max(longest, age), *ages)
    if len(ages) < _KNOWN_DAYS:
        return Seen(None, 0.0, waiting, said=f"the usual time is known after {_KNOWN_DAYS} days", kept=kept)
    usual = median(ages)
    said = f"no labels come for {counted(waiting, 'answers')} since {age:.0f} h, usually {usual:.0f} h at most"
    return Seen(None, age / max(usual, 1.0), waiting, said=said, kept=kept)


def _standing(by_hour: Mapping[datetime, EventCounts]) -> tuple[datetime | None, int]:
    """Return the first hour of answers that wait after the newest hour whose labels have come, and their number.

    The labels of an hour have come if half as many of its answers have one as of all: some never get one.

    >>> from datetime import UTC
    >>> at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(3)]
    >>> labelled = {each: EventCounts(rows=100, labelled=70) for each in at[:2]}
    >>> _standing(labelled)  # a night without answers: the 60 without a label get none any more
    (None, 0)
    >>> since, waiting = _standing({**labelled, at[2]: EventCounts(rows=50)})
    >>> since.hour, waiting
    (2, 50)
    """
    answers = {at: each.rows - each.failed_rows for at, each in by_hour.items()}
    share = sum(each.labelled for each in by_hour.values()) / max(sum(answers.values()), 1)
    come = max((at for at, each in by_hour.items() if each.labelled >= share / 2 * answers[at] > 0), default=None)
    later = {at: answers[at] - each.labelled for at, each in by_hour.items() if come is None or at > come}
    return min((at for at, waiting in later.items() if waiting > 0), default=None), sum(later.values())
