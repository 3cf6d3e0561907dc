"""Handwritten digits, read by a model that mlops_dagster looks after."""
