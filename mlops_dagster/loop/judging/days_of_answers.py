"""The champion's answers by day: as the reports have them, or counted again where labels have come since.

Labels may come a year late, a few each hour. A report of a day is made again at noon if the number of its labels has
changed by a twentieth since, and for a smaller change once a week: so the report of a day whose labels trickle in for a
year is made about 70 times, and that of a day whose labels come all at once is made again on the next day.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from mlops_dagster.loop.judging.findings import PERFORMANCE
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import DayOfAnswers, day_of_answers
from mlops_dagster.monitoring.concept.outcomes import parts_of
from mlops_dagster.predictions import AnswerCounts, Cohort, champion_days
from mlops_dagster.registry import ModelVersion
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.rollout.floor.floor import champion_since
from mlops_dagster.rollout.floor.matured import day_begins
from mlops_dagster.stores import Stores

NEWS = 0.05
"""A report is made again the next noon if this share of its day's labels is new or corrected."""
AT_LEAST_EVERY = timedelta(days=7)
"""After this time a single new or corrected label is enough to make a report again."""

_DAY = timedelta(days=1)


def card_slices(champion: ModelVersion | None) -> list[str]:
    """Return the slices of a version's card, without the slice of all rows."""
    evaluation = champion.card.evaluation if champion is not None and champion.card is not None else ()
    return [part.name for part in evaluation if part.name != OVERALL]


def count_day(stores: Stores, spec: ModelSpec, champion: ModelVersion, day: date) -> DayOfAnswers:
    """Count the champion's answers of a day from the log, with the labels known by now."""
    start = day_begins(day)
    parts = parts_of(card_slices(champion), champion.baseline, spec.drift.bins)
    return day_of_champion(stores.log.answers(spec.model, start, start + _DAY, parts), spec, champion)


def day_of_champion(counts: AnswerCounts, spec: ModelSpec, champion: ModelVersion) -> DayOfAnswers:
    """Return the champion's answers of a day, from counts by `parts_of` its slices and baseline."""
    return day_of_answers(
        counts,
        champion.version,
        slices=card_slices(champion),
        baseline=champion.baseline,
        bins=spec.drift.bins,
        task=champion.task,
    )


def since_promotion(stores: Stores, champion: ModelVersion, until: datetime) -> dict[date, Cohort]:
    """Return the numbers of the champion's answers and of labelled ones, by day of its reign before `until`."""
    since = champion_since(stores.registry.history(champion.model))
    if since is None or since >= until:
        return {}
    return champion_days(stores.rollups, champion.model, champion.version, since, until)


def answers_of(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion,
    judged: Mapping[date, DayOfAnswers],
    again: Collection[datetime],
    days: Sequence[date],
) -> dict[date, DayOfAnswers]:
    """Return the champion's answers of these days, as far as they were counted.

    The answers of this run's days are in `judged`. Earlier days are taken from their reports, or counted `again`.
    """
    earlier = [day for day in days if day < min(judged)]
    known = _reported(stores, spec.model, earlier)
    stale = {day: count_day(stores, spec, champion, day) for day in earlier if day_begins(day) in again}
    found = {**known, **stale, **judged}
    return {day: found[day] for day in days if day in found and found[day].version == champion.version}


def changed_days(stores: Stores, spec: ModelSpec, now: datetime) -> set[datetime]:
    """Return the beginnings of the days to report on again, among all days whose labels may still come."""
    since = day_begins((now - timedelta(days=stores.settings.label_days)).date())
    counts = stores.log.label_counts(spec.model, since)
    return {
        each.start
        for each in stores.reports.latest(PERFORMANCE, spec.model, since, now)
        if is_news(each.content.labels, each.made_at, counts.get(each.start.date(), 0), now)
    }


def is_news(counted: int, made_at: datetime, labels: int, now: datetime) -> bool:
    """Return whether to report again on a day that has `labels` labels and had `counted` at its last report.

    >>> noon = datetime(2013, 3, 2, 12)
    >>> is_news(1_000, noon, 1_050, noon + timedelta(days=1)), is_news(1_000, noon, 1_049, noon + timedelta(days=1))
    (True, False)
    >>> is_news(1_000, noon, 1_001, noon + timedelta(days=7))
    True
    """
    news = abs(labels - counted)
    return news > 0 and (news >= NEWS * counted or now - made_at >= AT_LEAST_EVERY)


def _reported(stores: Stores, model: str, days: Sequence[date]) -> dict[date, DayOfAnswers]:
    """Return the days' counts from their latest reports."""
    if not days:
        return {}
    since, until = day_begins(min(days)), day_begins(max(days) + _DAY)
    wanted = set(days)
    return {
        each.start.date(): each.content.answers
        for each in stores.reports.latest(PERFORMANCE, model, since, until)
        if each.content.answers is not None and each.start.date() in wanted
    }
