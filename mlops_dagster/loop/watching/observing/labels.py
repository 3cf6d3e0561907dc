"""Observations of labels: wrong answers in the order in which their labels come, and labels that do not come."""

from datetime import datetime, timedelta
from statistics import median
from typing import Final

from mlops_dagster.alerting.judging import Counted, Observation, Seen, Watch
from mlops_dagster.loop.watching.due import is_due
from mlops_dagster.loop.watching.fleet import HOUR
from mlops_dagster.loop.watching.increments import Count, day_of, increment
from mlops_dagster.loop.watching.subject import Subject
from mlops_dagster.monitoring.policy import wrong_answers
from mlops_dagster.predictions import EventCounts, LabelDebt
from mlops_dagster.registry.cards import OVERALL

_DAY: Final = timedelta(days=1)
_REACH: Final = timedelta(days=30)
"""Labels of older predictions are not looked at."""
_RECENT: Final = timedelta(days=2)
"""Labels of older predictions are looked at once an hour."""

_KNOWN_DAYS: Final = 7
"""The days after which the usual age of the debt is known."""
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
    """Return the median age of answers that wait for a label, as a multiple of the usual age; None without labels.

    The usual age is the median of one age a day, over 30 days; days on which the alert is open do not count.
    """
    by_hour = subject.stores.rollups.series(subject.model, subject.now - _REACH, subject.now, HOUR)
    if not any(each.labelled for each in by_hour.values()):
        return None
    found = LabelDebt.of([(at, each.rows - each.failed_rows, each.unlabelled) for at, each in by_hour.items()])
    waits = found.median_at is not None and found.awaiting >= _LEAST_WAITING
    age = (subject.now - found.median_at) / HOUR if waits and found.median_at is not None else 0.0
    today = float(day_of(subject.now).timestamp())
    last, *ages = watch.kept or (0.0,)
    usual = median(ages) if len(ages) >= _KNOWN_DAYS else None
    if last < today and watch.severity is None:
        last, ages = today, [*ages, age][-30:]
    kept = (last, *ages)
    if usual is None:
        return Seen(None, 0.0, found.awaiting, said=f"the usual age is known after {_KNOWN_DAYS} days", kept=kept)
    said = f"the answers that wait for a label are {age:.0f} h old in the median, usually {usual:.0f} h"
    return Seen(None, age / max(usual, 1.0), found.awaiting, said=said, kept=kept)
