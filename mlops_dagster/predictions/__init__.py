"""The prediction log: a durable spool, rollups, Delta Lake tables, labels that come late, and an audit of it all."""

from mlops_dagster.predictions.asked import Asked, AskedErasures
from mlops_dagster.predictions.audit import AuditReport, ProcessAudit, audit
from mlops_dagster.predictions.compared import COHORT, Cohort, Pair, arm_cohorts, champion_days
from mlops_dagster.predictions.counts import BadEvent, BothScored, EventCounts, PairedCounts
from mlops_dagster.predictions.erasing import Choice, Erased, Found, check_reason, erase
from mlops_dagster.predictions.feedback import Feedback, Taken
from mlops_dagster.predictions.label_inbox import LabelInbox
from mlops_dagster.predictions.label_outbox import LabelOutbox
from mlops_dagster.predictions.latency import LatencySummary
from mlops_dagster.predictions.log import PredictionLog
from mlops_dagster.predictions.records import (
    ANSWERED,
    SERVED,
    Answered,
    FeedbackResult,
    Hit,
    LabelRecord,
    PredictionRecord,
    Role,
    ShedRecord,
    Status,
)
from mlops_dagster.predictions.recounting import Recounted, recount
from mlops_dagster.predictions.repairing import Doubled, find_doubled, repair
from mlops_dagster.predictions.rollups import ArmEvents, LabelDebt, Rollups, ShedCounts
from mlops_dagster.predictions.spool import Consumer, Spool, SpoolDepth
from mlops_dagster.predictions.units import speaking_row, unit_of

__all__ = [
    "ANSWERED",
    "COHORT",
    "SERVED",
    "Answered",
    "ArmEvents",
    "Asked",
    "AskedErasures",
    "AuditReport",
    "BadEvent",
    "BothScored",
    "Choice",
    "Cohort",
    "Consumer",
    "Doubled",
    "Erased",
    "EventCounts",
    "Feedback",
    "FeedbackResult",
    "Found",
    "Hit",
    "LabelDebt",
    "LabelInbox",
    "LabelOutbox",
    "LabelRecord",
    "LatencySummary",
    "Pair",
    "PairedCounts",
    "PredictionLog",
    "PredictionRecord",
    "ProcessAudit",
    "Recounted",
    "Role",
    "Rollups",
    "ShedCounts",
    "ShedRecord",
    "Spool",
    "SpoolDepth",
    "Status",
    "Taken",
    "arm_cohorts",
    "audit",
    "champion_days",
    "check_reason",
    "erase",
    "find_doubled",
    "recount",
    "repair",
    "speaking_row",
    "unit_of",
]
