"""Actions on the versions that serve a model."""

from collections.abc import Mapping

from mlops_dagster.loop.roll_out import Step
from mlops_dagster.loop.shown.entries import Entries, Table, finite, links_to
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout.entities import TestResult


def action_entries(model: str, step: Step, deployed: Deployment) -> Entries:
    """Return an action, its reason, the versions that serve since, and the decision with its evidence."""
    decision = step.decision
    return {
        "action": step.action,
        "reason": step.reason,
        "champion": deployed.champion or "-",
        "canary": deployed.canary or "-",
        "on_hold": deployed.on_hold.reason if deployed.on_hold else "-",
        "at": deployed.updated_at.isoformat(),
        "canary_weight": deployed.canary_weight,
        "epoch": deployed.epoch,
        **(
            {}
            if decision is None
            else {
                "challenger": decision.rollout.challenger,
                "decided_at": decision.at.isoformat(),
                "arithmetic": f"mlops rollouts explain {decision.id}",
                "evidence": Table([_test(test) for test in decision.tests]),
            }
        ),
        **links_to(model, version="registered_version", comparison="champion_challenger"),
    }


def _test(test: TestResult) -> Mapping[str, str | float]:
    return {
        "test": test.name,
        "e-value": finite(test.e_value),
        "limit": test.limit,
        "verdict": test.verdict,
        "observed": ", ".join(f"{name} {value:g}" for name, value in test.observed.items()),
    }
