"""Definitions that a code location may have once: resources, executor, and the MLflow catalogue."""
