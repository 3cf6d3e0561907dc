"""The record of `deployment`: what was done, why, and on what evidence."""

from collections.abc import Mapping

import dagster as dg

from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import Decision


def materialization(
    spec: ModelSpec, action: str, reason: str, deployed: Deployment, decision: Decision | None = None
) -> dg.AssetMaterialization:
    """Of `deployment`: what was done, why, and who serves since."""
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "action": action,
        "reason": reason,
        "champion": deployed.champion or "-",
        "canary": deployed.canary or "-",
        "canary_weight": deployed.canary_weight,
        "epoch": deployed.epoch,
        "at": deployed.updated_at.isoformat(),
        "on_hold": deployed.on_hold.reason if deployed.on_hold else "-",
    }
    if decision is not None:
        metadata |= {
            "challenger": decision.rollout.challenger,
            "decided_at": decision.at.isoformat(),
            "evidence": dg.MetadataValue.md(_tests_as_table(decision)),
        }
    return dg.AssetMaterialization(spec.key("deployment"), metadata=metadata)


def _tests_as_table(decision: Decision) -> str:
    lines = ["| test | observed | e-value | limit | verdict |", "|---|---|---|---|---|"]
    lines += [
        f"| {test.name} | {_counts(test.observed)} | {test.e_value:.4g} | {test.limit:.4g} | {test.verdict} |"
        for test in decision.tests
    ]
    return "\n".join(lines)


def _counts(observed: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in observed.items())
