"""Concept drift as Dagster shows it: the check on the daily report."""

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.shown.champion import concept_in_words
from mlops_dagster.loop.shown.entries import Entries, finite
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ConceptReport, ConceptVerdict

CHECK = "concept_drift"


def concept_check_spec(spec: ModelSpec) -> dg.AssetCheckSpec:
    """Return the check `concept_drift` on the daily report."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=key_of(spec, "performance_report"),
        description="Wrong answers of the champion since its promotion, in each slice of its card, against its "
        f"evaluation and {spec.concept.margin:.0%}: WARN when it is proven to do worse. A false alarm in its whole "
        f"life has a probability of {spec.concept.alpha:g} at most, as far as days are what the evaluation showed. "
        "ERROR when a fifth of its accuracy is lost for two days.",
    )


def concept_check(report: ConceptReport | None, then: str) -> dg.AssetCheckResult:
    """Return the check's result, with the action taken on a loss; an inconclusive check passes and says so."""
    if report is None:
        return dg.AssetCheckResult(
            check_name=CHECK,
            passed=True,
            description="inconclusive: there was no champion before the end of these days",
            metadata={"concept": "inconclusive"},
        )
    collapsed = report.verdict is ConceptVerdict.COLLAPSED
    entries: Entries = {"concept": report.verdict.value, **concept_in_words(report)}
    if report.slices:
        entries |= {"e_value": finite(report.slices[0].e_value), "wrong_rate": report.slices[0].rate or 0.0}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not report.worse,
        severity=dg.AssetCheckSeverity.ERROR if collapsed else dg.AssetCheckSeverity.WARN,
        description="; ".join(filter(None, [f"{report.champion}: {report.reason}", then if report.worse else ""])),
        metadata=shown(entries),
    )
