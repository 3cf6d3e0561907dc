"""Plays recorded traffic through the real definitions and the real data plane, with a simulated clock."""

from mlops_dagster.rehearsal.run import rehearse
from mlops_dagster.rehearsal.scenario import BadRelease, Scenario
from mlops_dagster.rehearsal.summary import Summary

__all__ = ["BadRelease", "Scenario", "Summary", "rehearse"]
