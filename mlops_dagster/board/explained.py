"""Decisions with their arithmetic."""

from collections.abc import Mapping

from mlops_dagster.board.snapshot.entities import ExplainedDecision
from mlops_dagster.errors import NotFoundError


def explain(decision: int, _other: Mapping[str, str]) -> ExplainedDecision:
    """Raise NotFoundError: a decision has no page yet."""
    raise NotFoundError(f"this decision has no page yet; `mlops rollouts explain {decision}` shows it")
