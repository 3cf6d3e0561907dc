"""Scaffold of a new project: written once, then maintained by its team."""

from mlops_dagster.scaffold.project import Project, write_project
from mlops_dagster.scaffold.table import EXAMPLE, Table, describe

__all__ = ["EXAMPLE", "Project", "Table", "describe", "write_project"]
