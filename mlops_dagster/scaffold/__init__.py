"""A new project of a team, written once and then theirs."""

from mlops_dagster.scaffold.project import Project, write_project
from mlops_dagster.scaffold.table import EXAMPLE, Table, describe

__all__ = ["EXAMPLE", "Project", "Table", "describe", "write_project"]
