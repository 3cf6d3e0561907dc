"""The content of the control room, as plain data.

Shares are between 0 and 1, latencies in milliseconds, times aware and UTC. None is a number that is not known; a text
that is empty has nothing to say. Links that need a setting (MLOPS_DAGSTER_URL, MLOPS_GRAFANA_URL, MLOPS_DOCS_URL) are
None without it.
"""

from mlops_dagster.board.snapshot.entities.alerts import (
    AlertRow,
    Alerts,
    Feed,
    FeedEntry,
    Letters,
    SilenceRow,
    Watching,
)
from mlops_dagster.board.snapshot.entities.decision import ArmCounts, ExplainedDecision, ImaginedLook, PolicyField
from mlops_dagster.board.snapshot.entities.drift import DriftPanel, FeatureRow
from mlops_dagster.board.snapshot.entities.figures import (
    Accuracy,
    ActiveModels,
    Figures,
    Latency,
    Requests,
    Uptime,
    Versions,
)
from mlops_dagster.board.snapshot.entities.policies import PolicyPanel, RuleRow
from mlops_dagster.board.snapshot.entities.rollouts import Compared, Outlook, Proof, RolloutPanel
from mlops_dagster.board.snapshot.entities.section import Hint, Point, Section, Series
from mlops_dagster.board.snapshot.entities.snapshot import Page, Snapshot
from mlops_dagster.board.snapshot.entities.versions import KpiRow, ModelRow, VersionRow, WorkerRow

__all__ = [
    "Accuracy",
    "ActiveModels",
    "AlertRow",
    "Alerts",
    "ArmCounts",
    "Compared",
    "DriftPanel",
    "ExplainedDecision",
    "FeatureRow",
    "Feed",
    "FeedEntry",
    "Figures",
    "Hint",
    "ImaginedLook",
    "KpiRow",
    "Latency",
    "Letters",
    "ModelRow",
    "Outlook",
    "Page",
    "Point",
    "PolicyField",
    "PolicyPanel",
    "Proof",
    "Requests",
    "RolloutPanel",
    "RuleRow",
    "Section",
    "Series",
    "SilenceRow",
    "Snapshot",
    "Uptime",
    "VersionRow",
    "Versions",
    "Watching",
    "WorkerRow",
]
