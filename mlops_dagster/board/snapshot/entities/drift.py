"""Drift: the last hourly report on each model, by feature."""

from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.board.snapshot.entities.section import Series
from mlops_dagster.monitoring import Verdict


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature, or "(score)"; those that ask for a retraining first."""

    name: str
    distance: float | None
    """The PSI; of the score, the distance D of Kolmogorov and Smirnov. None without rows."""
    chance: float | None
    """The distance that chance alone may reach; None with too few rows."""
    monitor: float
    retrain: float | None
    """The limits; the score has one only."""
    verdict: Verdict
    """stable, monitor, retrain, or inconclusive."""
    since: datetime | None
    """The first hour of the present verdict, as far back as a day; None if it is at least that old."""
    report_only: bool
    reason: str
    series: Series
    """The distance of each hour's report."""


@dataclass(frozen=True, slots=True)
class DriftPanel:
    """The newest drift report of a model."""

    model: str
    champion: str | None
    """The version whose baseline the window was held against."""
    start: datetime
    """The hour that the report is about; its page is /reports/MODEL/drift/START."""
    until: datetime
    """The end of the window."""
    window_hours: float
    stale: bool
    """True if a report of a later hour is due."""
    verdict: Verdict | None
    """None if the model had no champion with a baseline."""
    reason: str
    rows: int
    retraining: str
    """The consequence for retraining, in a sentence."""
    features: tuple[FeatureRow, ...]
    hidden_features: int
    """The stable features that are not among the rows of the page of all models."""
    command: str
    dagster: str | None
    grafana: str | None
