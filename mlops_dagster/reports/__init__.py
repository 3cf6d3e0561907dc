"""Reports on models: findings about an hour, a day or a week, readable without Dagster."""

from mlops_dagster.reports.report import DAY, HOUR, WEEK, Report, ReportKind
from mlops_dagster.reports.store import Reports

__all__ = ["DAY", "HOUR", "WEEK", "Report", "ReportKind", "Reports"]
