"""Concept drift of a champion: the test by its days of answers, and the finding of the latest daily report."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from mlops_dagster.loop.judging.findings import FORGOTTEN_AFTER, PERFORMANCE
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ConceptReport, DayOfAnswers, FeatureHarm, concept_drift, drift, harm_of
from mlops_dagster.registry import ModelVersion
from mlops_dagster.retraining.signals import ConceptSignal
from mlops_dagster.rollout.floor.floor import champion_since
from mlops_dagster.rollout.floor.matured import day_begins
from mlops_dagster.stores import Stores


def look_at_concept(
    stores: Stores, spec: ModelSpec, champion: ModelVersion, days: Mapping[date, DayOfAnswers], until: datetime
) -> ConceptReport | None:
    """Test the champion against its evaluation, by the days since its promotion whose labels are complete.

    Returns None if there was no champion before `until`.
    """
    since = champion_since(stores.registry.history(spec.model))
    if since is None or since >= until:
        return None
    harm: tuple[FeatureHarm, ...] = ()
    if champion.baseline is not None and days:
        window = sorted(days)[-spec.performance.window_days :]
        start, end = max(since, day_begins(window[0])), day_begins(window[-1]) + timedelta(days=1)
        counts = stores.rollups.feature_counts(spec.model, [champion.version], start, end)
        found = drift(champion.baseline, counts, spec.drift, hours=(end - start) / timedelta(hours=1))
        harm = harm_of(found.features, champion.baseline, [days[day] for day in window], spec.concept, spec.drift.bins)
    evaluation = champion.card.evaluation if champion.card is not None else ()
    effects = champion.baseline.design_effects if champion.baseline is not None else {}
    evaluated = champion.baseline.evaluated_days if champion.baseline is not None else ()
    return concept_drift(champion.version, evaluation, days, spec.concept, effects, harm, evaluated_days=evaluated)


def latest_concept(stores: Stores, model: str, champion: str, now: datetime) -> ConceptSignal | None:
    """Return what the latest daily report found of this champion; None if it is of another, or days old.

    That is the report of the last day that was over by `now`, as it was made last by then.
    """
    found = stores.reports.recent(PERFORMANCE, model, now, within=FORGOTTEN_AFTER, at=now)
    concept = None if found is None else found.content.concept
    return None if concept is None or concept.champion != champion else ConceptSignal.of(concept)
