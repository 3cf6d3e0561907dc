"""Retention: how long each kind of record of a model is kept, and the record of what went."""

from mlops_dagster.retention.cutoffs import LOOKBACK, Evidence, goes_before, kept_since, shown_since
from mlops_dagster.retention.policy import Kind, RetentionPolicy
from mlops_dagster.retention.record import RetentionPass, RetentionRecord

__all__ = [
    "LOOKBACK",
    "Evidence",
    "Kind",
    "RetentionPass",
    "RetentionPolicy",
    "RetentionRecord",
    "goes_before",
    "kept_since",
    "shown_since",
]
