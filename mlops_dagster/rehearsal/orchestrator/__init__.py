"""Dagster in simulated time."""
