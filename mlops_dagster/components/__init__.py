"""Dagster components: the types that `type:` in a defs.yaml may name, and a loader of projects that use them."""

# ruff: noqa: E402  # a missing extra is named before the first import of Dagster fails
from mlops_dagster.extras import require

require("dagster", "the loop on Dagster")

from mlops_dagster.components.loading import load_from_defs_folder
from mlops_dagster.components.model_lifecycle import ModelLifecycle
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.spec import ModelSpec

__all__ = ["ModelLifecycle", "ModelSpec", "Platform", "load_from_defs_folder"]
