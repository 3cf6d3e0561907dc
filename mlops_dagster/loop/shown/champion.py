"""The findings of a daily report on the champion: concept drift, and the floor of the headline measure."""

from datetime import datetime

from mlops_dagster.loop.shown.entries import Data, Entries, Markdown, Table, for_programs
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ConceptReport
from mlops_dagster.rollout.floor.look import FloorLook


def concept_entries(report: ConceptReport | None, until: datetime) -> Entries:
    """Return the report's numbers, and its tables for people; nothing without a champion."""
    if report is None:
        return {}
    return {
        **concept_in_words(report),
        **for_programs({**report.metadata(), "concept_until": until.isoformat()}),
    }


def concept_in_words(report: ConceptReport) -> Entries:
    """Return the verdicts as sentences, and the tables of slices and of drifted features with their loss."""
    features = report.feature_table()
    return {
        "concept_drift": f"{_plain(report.verdict)}: {report.reason}",
        "accuracy_collapse": f"{_plain(report.collapse.verdict)}: {report.collapse.reason}",
        "slices_against_evaluation": Table(report.table()),
        **({"drifted_features": Table(features)} if features else {}),
    }


def floor_in_words(look: FloorLook | None) -> Entries:
    """Return the decision about the floor as a sentence for the report; empty without a champion."""
    if look is None:
        return {}
    return {f"{look.headline.measure}_floor": f"{_plain(look.decision.outcome)}: {look.decision.reason}"}


def floor_entries(spec: ModelSpec, look: FloorLook | None) -> Entries:
    """Return the headline measure, its limits and the action to take, for report and check."""
    if look is None:
        return {}
    found, interval, limits = look.headline, look.headline.interval, spec.performance
    name = found.measure
    entries: Entries = {
        "floor": look.decision.outcome.value,
        "floor_reason": look.decision.reason,
        "floor_champion": look.champion,
        "floor_to": look.decision.to,
        "floor_until": look.until.isoformat(),
        "floor_days": ", ".join(day.isoformat() for day in look.days),
        f"{name}_rows": found.rows,
        f"{name}_limits": Data({"min_labels": limits.min_labels, "alert": limits.alert, "floor": limits.floor}),
    }
    if found.value is not None:
        entries[name] = round(found.value, 4)
    if interval is not None:
        entries |= {f"{name}_low": round(interval[0], 4), f"{name}_high": round(interval[1], 4)}
    if look.previous is not None:
        entries["floor_comparison"] = Markdown(look.previous.to_markdown())
    return entries


def _plain(verdict: str) -> str:
    return verdict.replace("_", " ")
