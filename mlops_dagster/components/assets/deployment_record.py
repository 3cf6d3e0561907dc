"""The record of `deployment`: each action, with its reason and evidence."""

from collections.abc import Mapping

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.views.tables import Metadata, in_order, table
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import Decision


def materializations(
    instance: dg.DagsterInstance,
    spec: ModelSpec,
    action: str,
    reason: str,
    deployed: Deployment,
    decision: Decision | None = None,
) -> list[dg.AssetMaterialization]:
    """Return the record of an action, its reason and the serving versions; none if the last record is the same.

    A rollback is repeated until the traffic is gone: only the first of its runs is recorded.
    """
    now = _materialization(spec, action, reason, deployed, decision)
    last = instance.get_latest_materialization_event(now.asset_key)
    said = None if last is None else last.asset_materialization
    return [] if said is not None and said.metadata == now.metadata else [now]


def _materialization(
    spec: ModelSpec, action: str, reason: str, deployed: Deployment, decision: Decision | None
) -> dg.AssetMaterialization:
    metadata: Metadata = {
        "action": action,
        "reason": reason,
        "champion": deployed.champion or "-",
        "canary": deployed.canary or "-",
        "on_hold": deployed.on_hold.reason if deployed.on_hold else "-",
        "at": deployed.updated_at.isoformat(),
        "canary_weight": deployed.canary_weight,
        "epoch": deployed.epoch,
        "version": dg.MetadataValue.asset(key_of(spec, "registered_version")),
        "comparison": dg.MetadataValue.asset(key_of(spec, "champion_challenger")),
    }
    if decision is not None:
        metadata |= {
            "challenger": decision.rollout.challenger,
            "decided_at": decision.at.isoformat(),
            "arithmetic": f"mlops rollouts explain {decision.id}",
            "evidence": table(_tests(decision)),
        }
    return dg.AssetMaterialization(key_of(spec, "deployment"), metadata=in_order(metadata))


def _tests(decision: Decision) -> list[dict[str, str | float]]:
    return [
        {
            "test": test.name,
            "e-value": min(test.e_value, 1e300),  # JSON has no infinity
            "limit": test.limit,
            "verdict": test.verdict,
            "observed": _counts(test.observed),
        }
        for test in decision.tests
    ]


def _counts(observed: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in observed.items())
