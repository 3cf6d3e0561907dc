"""Model cards: a version's data, its quality overall and by group, and its known failures.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993.
"""

from mlops_dagster.registry.cards.card import ModelCard
from mlops_dagster.registry.cards.data import Provenance, Validation
from mlops_dagster.registry.cards.evaluation import OVERALL, EvaluationSlice, evaluate
from mlops_dagster.registry.cards.fairness import MIN_GROUP_ROWS, FairnessAudit, audit_fairness
from mlops_dagster.registry.cards.html import to_html
from mlops_dagster.registry.cards.provable import Provable, ProvableDrift, ProvableFloor, ProvableLoss

__all__ = [
    "MIN_GROUP_ROWS",
    "OVERALL",
    "EvaluationSlice",
    "FairnessAudit",
    "ModelCard",
    "Provable",
    "ProvableDrift",
    "ProvableFloor",
    "ProvableLoss",
    "Provenance",
    "Validation",
    "audit_fairness",
    "evaluate",
    "to_html",
]
