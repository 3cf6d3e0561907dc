"""Approval of promotions by a person."""

from mlops_dagster.errors import ApprovalError
from mlops_dagster.registry import ModelRegistry, ModelVersion


def waits_for_approval(registry: ModelRegistry, version: ModelVersion, reason: str) -> bool:
    """Return whether the version lacks an approval only, which was not refused; ask for it if that was not done."""
    review = registry.review(version)
    if review is not None and review.kind == "rejected":
        return False
    if [type(gate) for gate in registry.closed_gates(version)] != [ApprovalError]:
        return False
    if review is None or review.kind != "approval_requested":
        registry.request_approval(version, reason=reason)
    return True
