"""Approval of promotions by a person."""

from mlops_dagster.errors import ApprovalError
from mlops_dagster.registry import ModelRegistry, ModelVersion


def waits_for_approval(registry: ModelRegistry, version: ModelVersion, reason: str) -> bool:
    """Return whether only an approval keeps the version out of production; if not refused or asked for yet, ask for it."""
    review = registry.review(version)
    if review is not None and review.kind == "rejected":
        return False
    if [type(gate) for gate in registry.closed_gates(version)] != [ApprovalError]:
        return False
    if review is None or review.kind != "approval_requested":
        registry.request_approval(version, reason=reason)
    return True
