"""The daily judgement of a model: performance of each version, and the findings on the champion with their alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from mlops_dagster.loop.apply_floor import FloorSignal, hold_to_floor, tell_of_floor
from mlops_dagster.loop.judging.alerts import tell_of_collapse, tell_of_concept, tell_of_labels
from mlops_dagster.loop.judging.concept import look_at_concept
from mlops_dagster.loop.judging.days_of_answers import (
    answers_of,
    card_slices,
    changed_days,
    day_of_champion,
    since_promotion,
)
from mlops_dagster.loop.judging.findings import PERFORMANCE, DayOfPerformance
from mlops_dagster.loop.retraining.consider import NO_RUNS, TrainingRuns, action_on_loss
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring.concept.estimated import estimated_performance
from mlops_dagster.monitoring.concept.outcomes import parts_of
from mlops_dagster.monitoring.performance import performance
from mlops_dagster.predictions import Cohort, LabelDebt
from mlops_dagster.registry import ModelVersion
from mlops_dagster.reports import DAY, Report
from mlops_dagster.rollout.floor.floor import under_floor
from mlops_dagster.rollout.floor.matured import matured_days
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Task

_NO_ANSWERS: Final[Mapping[date, Cohort]] = {}


@dataclass(frozen=True, slots=True)
class JudgedDays:
    """The reports on some days, in order; the last one has the findings on the champion."""

    reports: Sequence[Report[DayOfPerformance]]
    newer: Report[DayOfPerformance] | None
    """The newest report if it is of a later day: then these days were made late or again, and nothing followed."""
    matured: Sequence[date]
    """The days by which the champion is judged."""
    days_of_champion: int
    debt: LabelDebt
    """The answers that still await their labels at the end of these days."""

    @property
    def last(self) -> DayOfPerformance:
        """The content of the last day's report."""
        return self.reports[-1].content


def judge_days(stores: Stores, spec: ModelSpec, days: Sequence[datetime], runs: TrainingRuns = NO_RUNS) -> JudgedDays:
    """Report on each day, hold the champion to its floor and to its evaluation, alert, and save the reports.

    `days` are the midnights at which the days begin, in order. Reports on old days that are made again alert on
    nothing. A day's report is saved when all that follows from it is done. Raises StorageError.
    """
    latest, until = days[-1], days[-1] + DAY
    champion = stores.champion(spec.model)
    newer = stores.reports.newest(PERFORMANCE, spec.model, until, max(until, stores.clock.now()))
    counted = stores.log.label_counts(spec.model, days[0])  # first: labels in between show next time
    tasks = _tasks(stores, champion)
    found = {day: count_day_of_model(stores, spec, champion, tasks, day) for day in days}
    found = {day: replace(each, labels=counted.get(day.date(), 0)) for day, each in found.items()}
    cohorts = _NO_ANSWERS if champion is None else since_promotion(stores, champion, until)
    matured = matured_days(cohorts, spec.rollout, until)
    if champion is not None:
        found[latest] = _look_at_champion(stores, spec, champion, found, matured, is_newest=newer is None)
    if champion is not None and newer is None:
        found[latest] = _act(stores, spec, champion, found[latest], cohorts, until, runs)
    return JudgedDays(
        reports=[_save(stores, spec, champion, day, each, latest) for day, each in found.items()],
        newer=newer,
        matured=matured,
        days_of_champion=len(cohorts),
        debt=stores.rollups.label_debt(spec.model, until - timedelta(days=stores.settings.label_days), until),
    )


def count_day_of_model(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion | None,
    tasks: Mapping[str, Task],
    day: datetime,
) -> DayOfPerformance:
    """Count a day's rows, and the champion's answers among them; `tasks` are those of each version.

    The rows stay in the log: busy models have millions a day.
    """
    slices = card_slices(champion)
    baseline = None if champion is None else champion.baseline
    counts = stores.log.answers(spec.model, day, day + DAY, parts_of(slices, baseline, spec.drift.bins))
    answers = None if champion is None else day_of_champion(counts, spec, champion)
    estimate = None
    if champion is not None and baseline is not None and (calibration := baseline.calibration) is not None:
        places = stores.log.places(spec.model, champion.version, day, day + DAY, calibration)
        estimate = estimated_performance(places, calibration, baseline, spec.concept, champion.task)
    return DayOfPerformance(performance(counts, slices, tasks), 0, answers, estimate=estimate)


def _tasks(stores: Stores, champion: ModelVersion | None) -> dict[str, Task]:
    """Return the task of each version of the champion's model."""
    versions = [] if champion is None else stores.registry.list(champion.model)
    return {each.version: each.task for each in versions}


def _look_at_champion(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion,
    found: Mapping[datetime, DayOfPerformance],
    matured: Sequence[date],
    *,
    is_newest: bool,
) -> DayOfPerformance:
    """Return the last day with the findings on the champion, by all days whose labels are complete."""
    latest = max(found)
    until = latest + DAY
    look = hold_to_floor(stores, spec, matured, until)
    judged = {day.date(): each.answers for day, each in found.items() if each.answers is not None}
    # Runs that report again on old days may come after this run, but only this run, of the newest day, alerts.
    again = changed_days(stores, spec, stores.clock.now()) if is_newest else ()
    known = answers_of(stores, spec, champion, judged, again, matured)
    return replace(found[latest], floor=look, concept=look_at_concept(stores, spec, champion, known, until))


def _act(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion,
    found: DayOfPerformance,
    cohorts: Mapping[date, Cohort],
    until: datetime,
    runs: TrainingRuns,
) -> DayOfPerformance:
    """Open, update and resolve the alerts on the champion; return the day with the action on a proven loss."""
    tell_of_labels(stores, spec, cohorts, until)
    tell_of_floor(stores, spec, found.floor)
    floor = None if found.floor is None else FloorSignal.of(found.floor, spec.performance.floor)
    performance = None if floor is None else floor.asks_for_retraining(champion.version)
    action = action_on_loss(stores, spec, champion, runs, performance)
    tell_of_collapse(stores, spec, champion.version, found.concept, then=action)
    below = found.floor is not None and under_floor(spec.performance, found.floor.headline)
    tell_of_concept(stores, spec, champion.version, found.concept, under_floor=below, then=action)
    return replace(found, action=action)


def _save(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion | None,
    day: datetime,
    found: DayOfPerformance,
    latest: datetime,
) -> Report[DayOfPerformance]:
    decision = None if found.floor is None else found.floor.decision
    return stores.reports.save(
        PERFORMANCE,
        spec.model,
        day,
        found,
        verdict="inconclusive" if decision is None else decision.outcome.value,
        reason=f"the champion is judged with {latest:%Y-%m-%d}" if decision is None else decision.reason,
        champion=None if champion is None else champion.version,
    )
