"""Checks of a model's assets: their results, as people see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import ApprovalError, RefusedError
from mlops_dagster.loop.apply_floor import floor_action
from mlops_dagster.loop.judging.findings import HourOfDrift, outcome_of
from mlops_dagster.loop.judging.judge_hours import ValidatedHours
from mlops_dagster.loop.shown.champion import concept_in_words, floor_entries
from mlops_dagster.loop.shown.entries import Entries, Table, finite
from mlops_dagster.loop.shown.reports import drift_in_short, drift_summary, found_in, is_over, validation_summary
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ConceptReport, ConceptVerdict
from mlops_dagster.registry import ModelVersion, Validation
from mlops_dagster.reports import Report
from mlops_dagster.rollout.floor.floor import under_floor
from mlops_dagster.rollout.floor.look import FloorLook

SUITE_PASSES: Final = "suite_passes"
WITHIN_LIMITS: Final = "within_limits"
HEADLINE: Final = "headline"
CONCEPT_DRIFT: Final = "concept_drift"
GATES_OPEN: Final = "gates_open"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check."""

    passed: bool
    description: str
    entries: Entries
    is_error: bool = False
    """Whether a check that did not pass is an error; else it is a warning."""


def suite_of_hours(validated: ValidatedHours, hours: Mapping[str, datetime]) -> CheckResult:
    """Return the result of the suite on hours, which are given by the names of their partitions."""
    bad = [key for key, start in hours.items() if validated.of(start).failures]
    blind = [key for key, start in hours.items() if validated.of(start).errors]
    return CheckResult(
        not bad and not blind,
        validation_summary(validated, list(hours)),
        {
            "rows": sum(hour.rows for hour in validated.results.values()),
            "quarantined_hours": Table.of("hour", bad[::-1]),
            "hours_with_errors": Table.of("hour", blind[::-1]),
        },
    )


def suite_of_training(found: Validation) -> CheckResult:
    """Return the result of the suite on a training set; if it did not pass, the training ends."""
    said = (
        f"{counted(found.rows, 'rows')} met all {counted(found.expectations, 'expectations')}"
        if found.passed
        else f"{outcome_of(found)}; no version is trained on these {found.rows:,} rows"
    )
    entries = {**found_in(found), "expectations": found.expectations, "suite": found.suite}
    return CheckResult(found.passed, said, entries, is_error=True)


def drift_within_limits(found: Mapping[str, Report[HourOfDrift]], profiles: str) -> CheckResult:
    """Return whether no hour is beyond the limits of drift; `profiles` says how many whylogs profiles were made."""
    hours = list(found.values())
    return CheckResult(
        not any(is_over(hour.content) for hour in hours),
        drift_summary(list(found), hours),
        {**drift_in_short([hour.content for hour in hours]), "profiles": profiles},
    )


def headline_over_floor(spec: ModelSpec, look: FloorLook | None) -> CheckResult:
    """Return the champion's headline measure against its limits; without enough labels it passes and says so."""
    if look is None:
        nothing: Entries = {"floor": "inconclusive", "rows": 0}
        return CheckResult(True, "cannot tell: the model has no champion", nothing)
    limits = spec.performance
    in_words = f"alert under {limits.alert:g}, floor {limits.floor:g}, by {limits.min_labels:g} labels or more"
    return CheckResult(
        not look.decision.under_alert,
        "; ".join(filter(None, [f"{look.champion}: {look.decision.reason}", floor_action(look)])),
        {**floor_entries(spec, look), f"{look.headline.measure}_limits": in_words},
        is_error=under_floor(limits, look.headline),
    )


def champion_as_evaluated(report: ConceptReport | None, then: str) -> CheckResult:
    """Return whether the champion does as its evaluation said, and the action taken on a loss; inconclusive passes."""
    if report is None:
        said = "inconclusive: there was no champion before the end of these days"
        return CheckResult(True, said, {"concept": "inconclusive"})
    entries: Entries = {"concept": report.verdict.value, **concept_in_words(report)}
    if report.slices:
        entries |= {"e_value": finite(report.slices[0].e_value), "wrong_rate": report.slices[0].rate or 0.0}
    return CheckResult(
        not report.worse,
        "; ".join(filter(None, [f"{report.champion}: {report.reason}", then if report.worse else ""])),
        entries,
        is_error=report.verdict is ConceptVerdict.COLLAPSED,
    )


def gates_of_production(version: ModelVersion, closed: Sequence[RefusedError]) -> CheckResult:
    """Return the gates that are closed to a version; one that only waits for its approval passes."""
    return CheckResult(
        all(isinstance(gate, ApprovalError) for gate in closed),
        "; ".join(gate.told for gate in closed) or f"{version.version} passes every gate",
        {
            "version": version.version,
            "closed": Table([{"gate": gate.code, "why it is closed": gate.told} for gate in closed]),
        },
        is_error=True,
    )
