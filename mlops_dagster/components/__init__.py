"""Dagster components: the types that `type:` in a defs.yaml may name, and a loader of projects that use them."""

from mlops_dagster.components.loading import load_from_defs_folder
from mlops_dagster.components.model_lifecycle import ModelLifecycle
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.spec import ModelSpec

__all__ = ["ModelLifecycle", "ModelSpec", "Platform", "load_from_defs_folder"]
