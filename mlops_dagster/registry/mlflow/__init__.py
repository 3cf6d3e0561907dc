"""Delivery of every version to an MLflow server, which is kept in step with the registry."""

from mlops_dagster.registry.mlflow.delivery import deliver

__all__ = ["deliver"]
