"""Concept drift in Dagster: the daily report's counts, the check beside it, and the reason to retrain."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from mlops_dagster.alerting import Severity
from mlops_dagster.components.comparisons import Metadata
from mlops_dagster.components.partitions import daily
from mlops_dagster.components.reports import latest_report, reports
from mlops_dagster.components.spec import ModelSpec
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
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.retraining.signals import ConceptSignal
from mlops_dagster.rollout.floor import champion_since
from mlops_dagster.wiring import House

CHECK = "concept_drift"
ANSWERS = "answers"
"""Under which a day's metadata has its `DayOfAnswers`."""


def concept_check_spec(spec: ModelSpec) -> dg.AssetCheckSpec:
    """The check `concept_drift` on the daily report."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=spec.key("performance_report"),
        description="Wrong answers of the champion since its promotion, in each slice of its card, against its "
        f"evaluation and {spec.concept.margin:.0%}: WARN when it is proven to do worse. A false alarm in its whole "
        f"life has a probability of {spec.concept.alpha:g} at most, as far as days are what the evaluation showed. "
        "ERROR when a fifth of its accuracy is lost for two days.",
    )


def card_slices(champion: ModelVersion | None) -> list[str]:
    """The slices of a version's card, but for the one of all rows."""
    evaluation = champion.card.evaluation if champion is not None and champion.card is not None else ()
    return [part.name for part in evaluation if part.name != OVERALL]


def look_at_concept(
    house: House,
    spec: ModelSpec,
    champion: ModelVersion,
    instance: dg.DagsterInstance,
    judged: Mapping[date, DayOfAnswers],
    until: datetime,
) -> ConceptReport | None:
    """Hold the champion against its evaluation, by the days `judged` in this run and those of earlier reports.

    None for who was no champion before `until`.
    """
    since = champion_since(house.registry.history(spec.model))
    if since is None or since >= until:
        return None
    first = since.date()
    known = {**_earlier(instance, spec, champion.version, first, min(judged)), **judged}
    days = {day: answers for day, answers in known.items() if first <= day and answers.version == champion.version}
    harm: tuple[FeatureHarm, ...] = ()
    if champion.baseline is not None:
        start = max(since, until - timedelta(days=spec.performance.window_days))
        counts = house.rollups.feature_counts(spec.model, [champion.version], start, until)
        window = [answers for day, answers in days.items() if day >= start.date()]
        found = drift(champion.baseline, counts, spec.drift, hours=(until - start) / timedelta(hours=1))
        harm = harm_of(found.features, champion.baseline, window, spec.concept, spec.drift.bins)
    evaluation = champion.card.evaluation if champion.card is not None else ()
    effects = champion.baseline.design_effects if champion.baseline is not None else {}
    evaluated = champion.baseline.evaluated_days if champion.baseline is not None else ()
    return concept_drift(champion.version, evaluation, days, spec.concept, effects, harm, evaluated_days=evaluated)


def concept_metadata(report: ConceptReport | None, until: datetime) -> dict[str, object]:
    """Of the report: the numbers, which the retraining sensor reads, and the table for people."""
    if report is None:
        return {}
    return {
        **report.metadata(),
        "concept_until": until.isoformat(),
        "concept_report": dg.MetadataValue.md(report.to_markdown()),
    }


def tell_of_concept(
    house: House, spec: ModelSpec, champion: str, report: ConceptReport | None, *, under_floor: bool, then: str
) -> None:
    """The alert `concept_drift`: open while the champion is proven worse, over when it is not or another serves."""
    if report is not None and report.drifted:
        house.alerts.report(
            spec.model,
            CHECK,
            Severity.CRITICAL if under_floor else Severity.WARNING,
            f"{champion}: {report.drift_reason}",
            done=then,
            evidence={"champion": champion, "slices": report.metadata()["concept_slices"]},
        )
    elif report is not None and report.verdict is ConceptVerdict.NOT_PROVEN:
        house.alerts.resolve(spec.model, CHECK, f"{champion}: {report.reason}")
    elif any(alert.rule == CHECK and alert.evidence["champion"] != champion for alert in house.alerts.list(spec.model)):
        house.alerts.resolve(spec.model, CHECK, f"{champion} serves now")


def concept_check(report: ConceptReport | None) -> dg.AssetCheckResult:
    """What was found, as the check; one that cannot tell passes and says so."""
    if report is None:
        return dg.AssetCheckResult(check_name=CHECK, passed=True, metadata={"concept": "cannot_tell"})
    collapsed = report.verdict is ConceptVerdict.COLLAPSED
    shown: Metadata = {"concept": report.verdict.value, "reason": report.reason}
    if report.slices:
        shown |= {"e_value": min(report.slices[0].e_value, 1e300), "e_needed": report.slices[0].needed}
        shown |= {"wrong_rate": report.slices[0].rate or 0.0, "limit": report.slices[0].limit}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not report.worse,
        severity=dg.AssetCheckSeverity.ERROR if collapsed else dg.AssetCheckSeverity.WARN,
        metadata={**shown, "report": dg.MetadataValue.md(report.to_markdown())},
    )


def latest_concept(instance: dg.DagsterInstance, spec: ModelSpec, champion: str, now: datetime) -> ConceptSignal | None:
    """What the latest daily report says of this champion; None if it is of another, or days old."""
    said = latest_report(instance, spec.key("performance_report"), daily(), now)
    if said is None or said.get("concept_champion") != champion:
        return None
    return ConceptSignal.from_metadata(said)


def _earlier(
    instance: dg.DagsterInstance, spec: ModelSpec, version: str, first: date, before: date
) -> dict[date, DayOfAnswers]:
    """The days' counts as their latest reports have them."""
    wanted = [(first + timedelta(days=n)).isoformat() for n in range((before - first).days)]
    found: dict[date, DayOfAnswers] = {}
    for day, said in reports(instance, spec.key("performance_report"), wanted):
        if ANSWERS in said:
            answers = DayOfAnswers.from_metadata(said[ANSWERS])
            if answers.version == version:
                found.setdefault(date.fromisoformat(day), answers)
    return found


def changed_days(house: House, spec: ModelSpec, instance: dg.DagsterInstance, since: datetime) -> set[str]:
    """The days since then whose reports were made before some of their labels came, or were corrected."""
    counts = house.log.label_counts(spec.model, datetime.combine(since.date(), time(), UTC))
    days = sorted(day.isoformat() for day in counts)
    counted: dict[str, object] = {}
    for day, said in reports(instance, spec.key("performance_report"), days):
        counted.setdefault(day, said.get("labels_counted"))
    return {day for day, then in counted.items() if then != counts[date.fromisoformat(day)]}
