"""Alerts: what broke, and what was done about it."""

from mlops_dagster.alerting.alert import Alert, Severity
from mlops_dagster.alerting.alerts import Alerts

__all__ = ["Alert", "Alerts", "Severity"]
