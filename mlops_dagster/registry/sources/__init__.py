"""Sources of artifacts: MLflow, S3, local files and estimator objects."""

from mlops_dagster.registry.sources.mlflow import pin
from mlops_dagster.registry.sources.source import open_source

__all__ = ["open_source", "pin"]
