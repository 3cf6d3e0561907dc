"""The model registry: versions of models, their deployments, and the history of both."""

from mlops_dagster.registry.artifacts import ContentStore, LocalBlobs
from mlops_dagster.registry.cards import (
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    Provenance,
    Validation,
    audit_fairness,
    evaluate,
    to_html,
)
from mlops_dagster.registry.entities.baseline import PAIRED, Baseline
from mlops_dagster.registry.entities.entities import (
    Acknowledgement,
    AuditHead,
    Deployment,
    Event,
    EventKind,
    ModelVersion,
)
from mlops_dagster.registry.entities.gate_policy import GatePolicy, failed_gates
from mlops_dagster.registry.entities.guard_and_hold import GuardMode, GuardPolicy, Hold
from mlops_dagster.registry.entities.policies import ModelPolicies
from mlops_dagster.registry.entities.stages import ALLOWED, Stage
from mlops_dagster.registry.registry import ModelRegistry
from mlops_dagster.registry.stores.event_time import CLOCKS_DIFFER

__all__ = [
    "ALLOWED",
    "CLOCKS_DIFFER",
    "PAIRED",
    "Acknowledgement",
    "AuditHead",
    "Baseline",
    "ContentStore",
    "Deployment",
    "EvaluationSlice",
    "Event",
    "EventKind",
    "FairnessAudit",
    "GatePolicy",
    "GuardMode",
    "GuardPolicy",
    "Hold",
    "LocalBlobs",
    "ModelCard",
    "ModelPolicies",
    "ModelRegistry",
    "ModelVersion",
    "Provenance",
    "Stage",
    "Validation",
    "audit_fairness",
    "evaluate",
    "failed_gates",
    "to_html",
]
