"""The check `gates_open` on `registered_version`, which shows the gates of production that are closed to a version."""

from collections.abc import Sequence

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.views.tables import shown
from mlops_dagster.errors import ApprovalError, RefusedError
from mlops_dagster.loop.shown.entries import Table
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import ModelVersion

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
        found = gates_evaluation(spec, version, registry.closed_gates(version))
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )

    return gates_open


def gates_evaluation(spec: ModelSpec, version: ModelVersion, closed: Sequence[RefusedError]) -> dg.AssetCheckEvaluation:
    """Return the result of the gates check; a version that only waits for its approval passes."""
    return dg.AssetCheckEvaluation(
        asset_key=key_of(spec, "registered_version"),
        check_name=CHECK,
        passed=all(isinstance(gate, ApprovalError) for gate in closed),
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(gate.told for gate in closed) or f"{version.version} passes every gate",
        metadata=shown(
            {
                "version": version.version,
                "closed": Table([{"gate": gate.code, "why it is closed": gate.told} for gate in closed]),
            }
        ),
    )
