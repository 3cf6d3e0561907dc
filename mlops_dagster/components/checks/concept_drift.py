"""Concept drift in Dagster: the daily report's counts, the check on the report, and the reason to retrain."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import dagster as dg

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.tables import Metadata, for_programs, table
from mlops_dagster.loop.findings import FORGOTTEN_AFTER, PERFORMANCE
from mlops_dagster.monitoring import (
    ConceptReport,
    ConceptVerdict,
    DayOfAnswers,
    FeatureHarm,
    concept_drift,
    drift,
    harm_of,
)
from mlops_dagster.registry import ModelVersion
from mlops_dagster.retraining.signals import ConceptSignal
from mlops_dagster.rollout.floor.floor import champion_since
from mlops_dagster.rollout.floor.matured import day_begins
from mlops_dagster.stores import Stores

CHECK = "concept_drift"


def concept_check_spec(spec: ModelSpec) -> dg.AssetCheckSpec:
    """Return the check `concept_drift` on the daily report."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=spec.key("performance_report"),
        description="Wrong answers of the champion since its promotion, in each slice of its card, against its "
        f"evaluation and {spec.concept.margin:.0%}: WARN when it is proven to do worse. A false alarm in its whole "
        f"life has a probability of {spec.concept.alpha:g} at most, as far as days are what the evaluation showed. "
        "ERROR when a fifth of its accuracy is lost for two days.",
    )


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


def concept_metadata(report: ConceptReport | None, until: datetime) -> Metadata:
    """Return the report's numbers, which the retraining sensor reads, and its tables for people."""
    if report is None:
        return {}
    return {
        **_in_words(report),
        **_tables(report),
        **for_programs({**report.metadata(), "concept_until": until.isoformat()}),
    }


def _in_words(report: ConceptReport) -> Metadata:
    return {
        "concept_drift": f"{_plain(report.verdict)}: {report.reason}",
        "accuracy_collapse": f"{_plain(report.collapse.verdict)}: {report.collapse.reason}",
    }


def _tables(report: ConceptReport) -> Metadata:
    """Return the table of slices and, if there are some, of drifted features with the loss that came with each."""
    features = report.feature_table()
    return {"slices_against_evaluation": table(report.table())} | (
        {"drifted_features": table(features)} if features else {}
    )


def _plain(verdict: str) -> str:
    return verdict.replace("_", " ")


def tell_of_concept(
    stores: Stores, spec: ModelSpec, champion: str, report: ConceptReport | None, *, under_floor: bool, then: str
) -> None:
    """Open the alert `concept_drift` while the champion is proven worse; resolve it if not, or if another serves."""
    if report is not None and report.drifted:
        stores.alerts.report(
            spec.model,
            Rule.CONCEPT_DRIFT,
            Severity.CRITICAL if under_floor else Severity.WARNING,
            f"{champion}: {report.drift_reason}",
            done=then,
            evidence={"champion": champion, "slices": report.metadata()["concept_slices"]},
        )
    elif report is not None and report.verdict is ConceptVerdict.NOT_PROVEN:
        stores.alerts.resolve(spec.model, Rule.CONCEPT_DRIFT, f"{champion}: {report.reason}")
    elif any(
        alert.rule == Rule.CONCEPT_DRIFT and alert.evidence["champion"] != champion
        for alert in stores.alerts.list(spec.model)
    ):
        stores.alerts.resolve(spec.model, Rule.CONCEPT_DRIFT, f"{champion} serves now")


def concept_check(report: ConceptReport | None, then: str) -> dg.AssetCheckResult:
    """Return the check's result, with the action taken on a loss; an inconclusive check passes and says so."""
    if report is None:
        return dg.AssetCheckResult(
            check_name=CHECK,
            passed=True,
            description="cannot tell: nobody was champion before the end of these days",
            metadata={"concept": "inconclusive"},
        )
    collapsed = report.verdict is ConceptVerdict.COLLAPSED
    shown: Metadata = {"concept": report.verdict.value, **_in_words(report), **_tables(report)}
    if report.slices:
        shown |= {"e_value": min(report.slices[0].e_value, 1e300), "wrong_rate": report.slices[0].rate or 0.0}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not report.worse,
        severity=dg.AssetCheckSeverity.ERROR if collapsed else dg.AssetCheckSeverity.WARN,
        description="; ".join(filter(None, [f"{report.champion}: {report.reason}", then if report.worse else ""])),
        metadata=shown,
    )


def latest_concept(stores: Stores, model: str, champion: str, now: datetime) -> ConceptSignal | None:
    """Return what the latest daily report found of this champion; None if it is of another, or days old.

    That is the report of the last day that was over by `now`, as it was made last by then.
    """
    found = stores.reports.recent(PERFORMANCE, model, now, within=FORGOTTEN_AFTER, at=now)
    concept = None if found is None else found.content.concept
    return None if concept is None or concept.champion != champion else ConceptSignal.of(concept)
