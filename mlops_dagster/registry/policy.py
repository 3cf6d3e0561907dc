"""What a version must show before it may be champion."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlops_dagster.errors import IncompleteCardError, QualityGateError
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities import ModelVersion


class GatePolicy(BaseModel):
    """Limits on the "overall" slice of the card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_micro_f1: Annotated[float, Field(ge=0, le=1)] = 0.91


def check_gates(version: ModelVersion, policy: GatePolicy) -> None:
    """Pass, or raise IncompleteCardError or QualityGateError naming the promise that would be broken."""
    name = f"{version.model} {version.version}"
    card = version.card or ModelCard()
    missing = card.missing()
    if missing or card.overall is None:
        raise IncompleteCardError(
            f"{name} may not enter production: no version does without a complete model card, "
            f"and {', '.join(missing)} is missing; attach a card that has it"
        )
    micro_f1 = card.overall.metrics["micro_f1"]
    if micro_f1 < policy.min_micro_f1:
        raise QualityGateError(
            f"{name} may not enter production: the quality gate promises micro-F1 >= {policy.min_micro_f1:g}, "
            f"and its card says {micro_f1:.4f}; train a better one, or set this model's own gate with its reason"
        )
