"""Trials: a version proves itself in a process of its own before anything that must live touches it.

docs/decisions/0042 has the rules. The parent's side is here; what is tried is in `mlops_dagster.inference.examination`,
which runs in the forked child of a warm process.
"""

from mlops_dagster.trial.report import Report, Verdict
from mlops_dagster.trial.subject import Subject
from mlops_dagster.trial.trials import Trials

__all__ = ["Report", "Subject", "Trials", "Verdict"]
