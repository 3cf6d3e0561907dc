"""Trials: a version is loaded and scores rows in a separate process with limits, before any worker loads it.

docs/decisions/0042 has the rules. The parent's side is here; the steps of a trial are in
`mlops_dagster.inference.examination`, which runs in the forked child of a warm process.
"""

from mlops_dagster.trial.report import Report, Verdict
from mlops_dagster.trial.subject import Subject
from mlops_dagster.trial.trials import Trials

__all__ = ["Report", "Subject", "Trials", "Verdict"]
