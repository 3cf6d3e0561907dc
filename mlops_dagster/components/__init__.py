"""Dagster components: what `type:` in a defs.yaml may name."""

from mlops_dagster.components.model_lifecycle import ModelLifecycle
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec

__all__ = ["ModelLifecycle", "ModelSpec", "Platform"]
