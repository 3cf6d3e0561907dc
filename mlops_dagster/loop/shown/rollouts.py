"""A rollout and its evidence in words, for commands and pages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mlops_dagster.clock import in_utc

if TYPE_CHECKING:
    from mlops_dagster.predictions import EventCounts
    from mlops_dagster.rollout import Decision, Evidence, Labels, Rollout, RolloutPolicy

BY: Final[Mapping[str, str]] = {
    "evidence": "the evidence",
    "approval": "the evidence; a person's yes is missing",
    "hand": "a person",
    "deployment": "others: the deployment had changed",
}
"""The author of a decision, by its origin."""


def place(rollout: "Rollout") -> str:
    """Return the phase and step of a rollout, in words."""
    step = f", step {rollout.step} of {len(rollout.policy.steps)}, {100 * rollout.weight:g} %" if rollout.step else ""
    return f"{rollout.phase.value}{step}{', paused' if rollout.paused else ''}"


def still_needed(decision: "Decision") -> Mapping[str, str]:
    """Return, by test, the further evidence its proof needs at present rates; only for tests that may promote."""
    from mlops_dagster.rollout.evaluation import evaluate

    tests = evaluate(decision.rollout.policy, decision.rollout, decision.evidence, forecast=True)
    return {test.name: test.needed for test in tests.all if test.needed is not None}


def label_debt(policy: "RolloutPolicy", evidence: "Evidence") -> Mapping[str, int]:
    """Return the number of answers and pairs without a label, late or never to come; pairs only where they count."""
    pairs = {"pairs": evidence.pairs_without_label} if policy.uses_pairs else {}
    return {"canary": evidence.canary.unlabelled, "champion": evidence.champion.unlabelled, **pairs}


def answered(evidence: "Evidence") -> "list[tuple[float | None, str, EventCounts]]":
    """Return (share of the canary, arm, counts) for each share in force; None for scorings off the response path."""
    by_share: list[tuple[float | None, str, EventCounts]] = [
        (step.weight, arm, counts)
        for step in evidence.steps
        for arm, counts in (("canary", step.canary), ("champion", step.champion))
    ]
    beside = [("challenger, beside", evidence.shadow), ("champion, beside", evidence.champion_beside)]
    return [*by_share, *((None, arm, counts) for arm, counts in beside)]


def debt_in_words(debt: Mapping[str, int]) -> str:
    """Return the label debt as one line."""
    return ", ".join(f"{of} {count:,}" for of, count in debt.items())


def labels_in_words(labels: "Labels") -> str:
    """Return how many pairs count, and up to when labels are complete, as a sentence."""
    if labels.share is None:
        return "no prediction yet"
    pairs = f"{labels.paired.total:,} pairs of {labels.rows:,} labelled rows, {labels.step:,} of these at this step"
    until = ""
    if labels.complete_until is not None:
        until = f", complete until {in_utc(labels.complete_until):%Y-%m-%d %H:%M}"
    return f"{pairs}; {labels.share:.0%} of the labels are known{until}"
