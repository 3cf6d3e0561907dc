"""Alerts: rules that were broken, the platform's reactions, and whom they are told."""

from mlops_dagster.alerting.alert import (
    FLEET,
    Acknowledgement,
    Alert,
    AlertEvent,
    EventKind,
    Reading,
    Severity,
    alert_key,
)
from mlops_dagster.alerting.alerts import Alerts
from mlops_dagster.alerting.beats import DELIVERY_BEAT, Beat, Beats
from mlops_dagster.alerting.life.journal import Outbox
from mlops_dagster.alerting.life.reactions import OF_QUALITY
from mlops_dagster.alerting.life.silence import Silence
from mlops_dagster.alerting.life.steps import Ending, News, Sighting, Step
from mlops_dagster.alerting.policy import AlertPolicy, LateReports
from mlops_dagster.alerting.rule import Notice, Rule
from mlops_dagster.alerting.silent import send_heartbeat, tell_silent

__all__ = [
    "DELIVERY_BEAT",
    "FLEET",
    "OF_QUALITY",
    "Acknowledgement",
    "Alert",
    "AlertEvent",
    "AlertPolicy",
    "Alerts",
    "Beat",
    "Beats",
    "Ending",
    "EventKind",
    "LateReports",
    "News",
    "Notice",
    "Outbox",
    "Reading",
    "Rule",
    "Severity",
    "Sighting",
    "Silence",
    "Step",
    "alert_key",
    "send_heartbeat",
    "tell_silent",
]
