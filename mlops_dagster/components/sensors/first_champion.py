"""The first champion: the rollout sensor's part for a model without one, and the check that shows its gates."""

import dagster as dg

from mlops_dagster.components.jobs.rollout_runs import Promotion, request
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.views.tables import table
from mlops_dagster.errors import ApprovalError, RefusedError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout.actions.first_champion import (
    REASON,
    candidates_of,
    choose_first,
    is_asked_for,
    tell_chosen,
    tell_refused,
)
from mlops_dagster.stores import Stores

CHECK = "gates_open"


def gates_check(spec: ModelSpec) -> dg.AssetChecksDefinition:
    """Return the check `gates_open` on `registered_version`: a refused version is shown red where it was made."""

    @dg.asset_check(
        asset=key_of(spec, "registered_version"),
        name=CHECK,
        description="Whether the new version passes the gates of production as they are now. It stays registered "
        "either way; a first version that passes later, because a gate was changed, is promoted then by itself.",
    )
    def gates_open(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        registry = platform.stores().registry
        versions = registry.list(spec.model)
        of_run = [each for each in versions if each.lineage.get("dagster_run") == context.run.run_id]
        version = (of_run or versions)[-1]
        found = _evaluation(spec, version, registry.closed_gates(version))
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )

    return gates_open


def first_promotion(
    spec: ModelSpec, stores: Stores, promote: dg.JobDefinition
) -> dg.SensorResult | dg.RunRequest | dg.SkipReason:
    """Promote the newest version whose gates are open: without a champion there is nothing to compare it with."""
    chosen = choose_first(candidates_of(stores.registry, stores.versions(spec.model)))
    if chosen is None:
        return dg.SkipReason(f"no version of {spec.model} yet; the job {spec.prefix}_retrain makes one")
    version, now = chosen.version, stores.clock.now()
    if is_asked_for(stores.registry, chosen):
        return dg.SkipReason(f"{version.version} waits for approval: {', '.join(spec.gates.approvers)}")
    shown = _evaluation(spec, version, chosen.closed)
    if chosen.closed:
        is_new = tell_refused(stores.alerts, chosen)
        return dg.SensorResult(skip_reason=shown.description, asset_events=[shown] if is_new else [])
    tell_chosen(stores.alerts, spec.model, version.version)
    config = Promotion(version=version.version, reason=REASON)
    # A failed run is requested again within the hour.
    asked = request(promote, f"{spec.prefix}_promotion", config, f"first-{version.version}-{now:%Y-%m-%dT%H}")
    return dg.SensorResult(run_requests=[asked], asset_events=[shown])


def _evaluation(spec: ModelSpec, version: ModelVersion, closed: tuple[RefusedError, ...]) -> dg.AssetCheckEvaluation:
    """Return the result of the gates check; a version that only waits for its approval passes."""
    return dg.AssetCheckEvaluation(
        asset_key=key_of(spec, "registered_version"),
        check_name=CHECK,
        passed=all(isinstance(gate, ApprovalError) for gate in closed),
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(gate.told for gate in closed) or f"{version.version} passes every gate",
        metadata={
            "version": version.version,
            "closed": table([{"gate": gate.code, "why it is closed": gate.told} for gate in closed]),
        },
    )
