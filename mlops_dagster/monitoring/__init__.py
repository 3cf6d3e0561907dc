"""Comparison of served traffic with the training data: baselines, drift, concept drift, validation, performance."""

from mlops_dagster.monitoring.baseline.evaluation import with_evaluation
from mlops_dagster.monitoring.baseline.fit import make_baseline
from mlops_dagster.monitoring.baseline.provable import provable
from mlops_dagster.monitoring.concept.collapse import Collapse, CollapseVerdict, collapse
from mlops_dagster.monitoring.concept.estimated import EstimatedPerformance, estimated_performance
from mlops_dagster.monitoring.concept.measure import concept_drift
from mlops_dagster.monitoring.concept.outcomes import DayOfAnswers, day_of_answers
from mlops_dagster.monitoring.concept.report import ConceptReport, ConceptVerdict
from mlops_dagster.monitoring.drift.attribution import FeatureHarm, Harm, harm_of
from mlops_dagster.monitoring.drift.labels import LabelDriftReport, label_drift
from mlops_dagster.monitoring.drift.measure import drift
from mlops_dagster.monitoring.drift.report import DriftReport, FeatureDrift
from mlops_dagster.monitoring.drift.window import regime_lines
from mlops_dagster.monitoring.performance import Performance, PerformanceReport, performance
from mlops_dagster.monitoring.policy import ConceptPolicy, DriftPolicy, PerformancePolicy, Verdict
from mlops_dagster.monitoring.quarantine import quarantine
from mlops_dagster.monitoring.validation.expectations.suite import ValidationPolicy, suite_for
from mlops_dagster.monitoring.validation.hold import HoldDecision, enact_hold, should_hold
from mlops_dagster.monitoring.validation.training_data import validate_training_set
from mlops_dagster.monitoring.validation.validate import ValidationResult, validate, validate_each

__all__ = [
    "Collapse",
    "CollapseVerdict",
    "ConceptPolicy",
    "ConceptReport",
    "ConceptVerdict",
    "DayOfAnswers",
    "DriftPolicy",
    "DriftReport",
    "EstimatedPerformance",
    "FeatureDrift",
    "FeatureHarm",
    "Harm",
    "HoldDecision",
    "LabelDriftReport",
    "Performance",
    "PerformancePolicy",
    "PerformanceReport",
    "ValidationPolicy",
    "ValidationResult",
    "Verdict",
    "collapse",
    "concept_drift",
    "day_of_answers",
    "drift",
    "enact_hold",
    "estimated_performance",
    "harm_of",
    "label_drift",
    "make_baseline",
    "performance",
    "provable",
    "quarantine",
    "regime_lines",
    "should_hold",
    "suite_for",
    "validate",
    "validate_each",
    "validate_training_set",
    "with_evaluation",
]
