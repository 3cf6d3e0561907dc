"""Where the artifact of a new version comes from."""

from mlops_dagster.registry.sources.mlflow import pin
from mlops_dagster.registry.sources.source import open_source

__all__ = ["open_source", "pin"]
