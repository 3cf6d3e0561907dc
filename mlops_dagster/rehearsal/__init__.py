"""Rehearsal: replays the history of a model on the real definitions and data plane, with a simulated clock."""

# ruff: noqa: E402  # a missing extra is named before the first import of Dagster fails
from mlops_dagster.extras import require

require("dagster", "a rehearsal")

from mlops_dagster.rehearsal.releases.bad_release import BadRelease
from mlops_dagster.rehearsal.run import rehearse
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.services import Services
from mlops_dagster.rehearsal.summary.comparing import compare, side_by_side
from mlops_dagster.rehearsal.summary.summary import Summary

__all__ = ["BadRelease", "Scenario", "Services", "Summary", "compare", "rehearse", "side_by_side"]
