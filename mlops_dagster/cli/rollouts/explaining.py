"""`mlops rollouts explain`: one decision with its evidence."""

import json as to_and_from_json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import NONE, facts, minute, print_json, right, table, title
from mlops_dagster.cli.rollouts.choosing import DecisionId, OfRollout, history
from mlops_dagster.cli.running import open_stores
from mlops_dagster.loop.shown.rollouts import (
    BY,
    answered,
    debt_in_words,
    label_debt,
    labels_in_words,
    place,
    still_needed,
)

if TYPE_CHECKING:
    from mlops_dagster.predictions import EventCounts
    from mlops_dagster.rollout import Decision


def explain(decision: DecisionId = None, rollout: OfRollout = None, json: Json = False) -> None:
    """Show a decision with its reason, its tests, and their evidence; of a rollout, the last decision."""
    found = history(open_stores().rollouts, decision, rollout)[-1]
    needed = still_needed(found)
    if json:
        print_json(_document(found, needed))
        return
    facts(_summary(found))
    title("Tests: proven once the e-value has reached its limit")
    table(
        ("test", "verdict", right("e-value"), right("limit"), right("p"), "still needed", "claim, and counts"),
        [
            (
                test.name,
                test.verdict,
                f"{test.e_value:.4g}",
                f"{test.limit:.4g}",
                f"{test.p:.2g}",
                needed.get(test.name, NONE),
                f"{test.claim}: {', '.join(f'{name} {value:g}' for name, value in test.observed.items())}",
            )
            for test in found.tests
        ],
    )
    title("Evidence: who answered what, by the canary's share of the traffic in force")
    table(
        (right("share"), "arm", *map(right, ("requests", "errors", "slow", "labelled", "wrong", "without label"))),
        [
            (NONE if share is None else f"{100 * share:g} %", arm, *(str(count) for count in _counts(counts).values()))
            for share, arm, counts in answered(found.evidence)
        ],
    )


def _summary(found: "Decision") -> list[tuple[str, str]]:
    rollout, evidence = found.rollout, found.evidence
    return [
        ("decision", f"{found.id} of rollout {rollout.id}: {found.outcome}"),
        ("why", found.reason),
        ("by", BY[found.origin]),
        ("at", minute(found.at)),
        ("model", f"{rollout.model} {rollout.challenger} against {rollout.champion}"),
        ("stood at", f"{place(rollout)}, since {minute(rollout.step_at)}"),
        ("deadline", minute(rollout.deadline(found.at))),
        ("labels", labels_in_words(evidence.labels)),
        ("without label", debt_in_words(label_debt(rollout.policy, evidence))),
    ]


def _counts(counts: "EventCounts") -> Mapping[str, int]:
    return {
        "requests": counts.requests,
        "errors": counts.errors,
        "slow": counts.slow,
        "labelled": counts.labelled,
        "wrong": counts.wrong,
        "without_label": counts.unlabelled,
    }


def _document(found: "Decision", needed: Mapping[str, str]) -> dict[str, object]:
    document: dict[str, object] = to_and_from_json.loads(found.to_json())
    return {
        **document,
        "id": found.id,
        "recorded_at": found.recorded_at,
        "needed": needed,
        "without_label": label_debt(found.rollout.policy, found.evidence),
    }
