"""The prediction log: a durable spool, rollups, Delta Lake tables, labels that arrive late, and audits of them all."""

from mlops_dagster.predictions.audit import AuditReport, ProcessAudit, audit
from mlops_dagster.predictions.engine.opening import open_engine
from mlops_dagster.predictions.erasure.asked import Asked, AskedErasures
from mlops_dagster.predictions.erasure.erase import Choice, Erased, Found, check_reason, erase
from mlops_dagster.predictions.erasure.expire import expire
from mlops_dagster.predictions.labels.feedback import Feedback, Taken
from mlops_dagster.predictions.labels.inbox import LabelInbox
from mlops_dagster.predictions.labels.outbox import LabelOutbox
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.repair import Doubled, find_doubled, repair
from mlops_dagster.predictions.log.statements.answers import INTERVAL, AnswerCounts, ByInterval, ByValue, Part, of_arm
from mlops_dagster.predictions.records import (
    ANSWERED,
    SERVED,
    Answered,
    FeedbackResult,
    Hit,
    LabelRecord,
    PredictionRecord,
    Refusal,
    Role,
    ShedRecord,
    Status,
)
from mlops_dagster.predictions.rollups.compared import COHORT, Cohort, Pair, arm_cohorts
from mlops_dagster.predictions.rollups.counting.recounting import Recounted, recount
from mlops_dagster.predictions.rollups.counting.units import speaking_row, unit_of
from mlops_dagster.predictions.rollups.counts import (
    ArmEvents,
    BadEvent,
    BothScored,
    EventCounts,
    PairedCounts,
    RefusedCounts,
    ShedCounts,
)
from mlops_dagster.predictions.rollups.expiry import Unit
from mlops_dagster.predictions.rollups.fleet import (
    NOTHING,
    Failures,
    FailuresByHour,
    HourOfVersion,
    ServedBy,
    Totals,
    added,
    awaiting_by_hour,
    awaiting_by_minute,
    champion_days,
    failures_by_hour,
    held_by_model,
    hours_by_version,
    latency_by_hour,
    latency_by_model,
    latency_by_version,
    requests_by_model,
    totals_by_day,
    totals_by_model,
)
from mlops_dagster.predictions.rollups.hours import rows_by_hour
from mlops_dagster.predictions.rollups.label_debt import LabelDebt
from mlops_dagster.predictions.rollups.latency import LatencySummary, summarize
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.spool.marks import Consumer, SpoolDepth
from mlops_dagster.predictions.spool.spool import Spool

__all__ = [
    "ANSWERED",
    "COHORT",
    "INTERVAL",
    "NOTHING",
    "SERVED",
    "AnswerCounts",
    "Answered",
    "ArmEvents",
    "Asked",
    "AskedErasures",
    "AuditReport",
    "BadEvent",
    "BothScored",
    "ByInterval",
    "ByValue",
    "Choice",
    "Cohort",
    "Consumer",
    "Doubled",
    "Erased",
    "EventCounts",
    "Failures",
    "FailuresByHour",
    "Feedback",
    "FeedbackResult",
    "Found",
    "Hit",
    "HourOfVersion",
    "LabelDebt",
    "LabelInbox",
    "LabelOutbox",
    "LabelRecord",
    "LatencySummary",
    "Pair",
    "PairedCounts",
    "Part",
    "PredictionLog",
    "PredictionRecord",
    "ProcessAudit",
    "Recounted",
    "Refusal",
    "RefusedCounts",
    "Role",
    "Rollups",
    "ServedBy",
    "ShedCounts",
    "ShedRecord",
    "Spool",
    "SpoolDepth",
    "Status",
    "Taken",
    "Totals",
    "Unit",
    "added",
    "arm_cohorts",
    "audit",
    "awaiting_by_hour",
    "awaiting_by_minute",
    "champion_days",
    "check_reason",
    "erase",
    "expire",
    "failures_by_hour",
    "find_doubled",
    "held_by_model",
    "hours_by_version",
    "latency_by_hour",
    "latency_by_model",
    "latency_by_version",
    "of_arm",
    "open_engine",
    "recount",
    "repair",
    "requests_by_model",
    "rows_by_hour",
    "speaking_row",
    "summarize",
    "totals_by_day",
    "totals_by_model",
    "unit_of",
]
