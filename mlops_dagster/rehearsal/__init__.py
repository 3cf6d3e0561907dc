"""Rehearsal: replays the history of a model on the real definitions and data plane, with a simulated clock."""

# ruff: noqa: E402  # a missing extra is named before the first import of Dagster fails
from mlops_dagster.extras import require

require("dagster", "a rehearsal")

from mlops_dagster.rehearsal.releases.bad_release import BadRelease
from mlops_dagster.rehearsal.run import rehearse
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.summary.comparing import compare
from mlops_dagster.rehearsal.summary.summary import Summary

__all__ = ["BadRelease", "Scenario", "Summary", "compare", "rehearse"]
