"""The catalogue outside: an MLflow server that shows every version, kept in step with the registry."""

from mlops_dagster.registry.mlflow.delivery import deliver

__all__ = ["deliver"]
