"""What the served traffic looks like against the training data: profiles, drift, validation, performance."""

from mlops_dagster.monitoring.drift import DriftReport, FeatureDrift, drift
from mlops_dagster.monitoring.expectations import ValidationPolicy, suite_for
from mlops_dagster.monitoring.holding import HoldDecision, enact_hold, should_hold
from mlops_dagster.monitoring.label_drift import LabelDriftReport, label_drift
from mlops_dagster.monitoring.performance import Performance, PerformanceReport, performance
from mlops_dagster.monitoring.policy import DriftPolicy, PerformancePolicy, Verdict
from mlops_dagster.monitoring.profiles import SCORE_BINS, fit_bins, make_baseline
from mlops_dagster.monitoring.quarantine import quarantine
from mlops_dagster.monitoring.training_data import validate_training_set
from mlops_dagster.monitoring.validation import ValidationResult, validate, validate_each

__all__ = [
    "SCORE_BINS",
    "DriftPolicy",
    "DriftReport",
    "FeatureDrift",
    "HoldDecision",
    "LabelDriftReport",
    "Performance",
    "PerformancePolicy",
    "PerformanceReport",
    "ValidationPolicy",
    "ValidationResult",
    "Verdict",
    "drift",
    "enact_hold",
    "fit_bins",
    "label_drift",
    "make_baseline",
    "performance",
    "quarantine",
    "should_hold",
    "suite_for",
    "validate",
    "validate_each",
    "validate_training_set",
]
