"""Where the bytes of models are kept, each under its own digest."""

from mlops_dagster.registry.artifacts.local import LocalContentStore
from mlops_dagster.registry.artifacts.store import ContentStore

__all__ = ["ContentStore", "LocalContentStore"]
