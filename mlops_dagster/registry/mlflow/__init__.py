"""Delivery of every version to an MLflow server, which is kept in step with the registry."""
