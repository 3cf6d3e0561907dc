"""Alerts: rules that were broken, and the platform's reactions."""

from mlops_dagster.alerting.alert import Alert, Severity
from mlops_dagster.alerting.alerts import Alerts
from mlops_dagster.alerting.rule import Rule

__all__ = ["Alert", "Alerts", "Rule", "Severity"]
