"""`mlops models request-approval`, `approve` and `reject`: the approval of a version by people."""

from typing import TYPE_CHECKING

from mlops_dagster.cli.arguments import Json, Model, Reason, Version
from mlops_dagster.cli.models.showing import gate_documents
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores

if TYPE_CHECKING:
    from mlops_dagster.registry import ModelRegistry, ModelVersion


def request_approval(model: Model, version: Version, reason: Reason, json: Json = False) -> None:
    """Ask the model's approvers to look at a version and its card."""
    registry = open_stores().registry
    found = registry.get(model, version)
    registry.request_approval(found, reason=reason)
    _tell(registry, found, "approval requested", json)


def approve(model: Model, version: Version, reason: Reason, json: Json = False) -> None:
    """Approve a version, as a named approver other than the requester; valid until the card changes."""
    registry = open_stores().registry
    found = registry.get(model, version)
    registry.approve(found, reason=reason)
    _tell(registry, found, "approved", json)


def reject(model: Model, version: Version, reason: Reason, json: Json = False) -> None:
    """Reject a version, as a named approver other than the requester."""
    registry = open_stores().registry
    found = registry.get(model, version)
    registry.reject(found, reason=reason)
    _tell(registry, found, "rejected", json)


def _tell(registry: "ModelRegistry", version: "ModelVersion", done: str, json: bool) -> None:
    """Print the action taken, and the gates that are closed now."""
    failures = registry.closed_gates(version)
    if json:
        print_json(
            {
                "model": version.model,
                "version": version.version,
                "done": done.replace(" ", "_"),
                "gates": gate_documents(failures),
            }
        )
        return
    closed = f"closed gates: {', '.join(error.code for error in failures)}" if failures else "every gate is open"
    say(f"{version.model} {version.version}: {done}; {closed}")
