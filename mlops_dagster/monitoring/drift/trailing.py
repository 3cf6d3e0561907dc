"""The drift report of an hour: the window before its end, against the baseline of the champion of that time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mlops_dagster.monitoring.drift.coverage import HISTORY, coverage
from mlops_dagster.monitoring.drift.measure import drift
from mlops_dagster.monitoring.drift.report import DriftReport
from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.monitoring.served_by import served_by
from mlops_dagster.predictions import Rollups, rows_by_hour
from mlops_dagster.registry import ModelRegistry, ModelVersion


@dataclass(frozen=True, slots=True)
class TrailingDrift:
    """A drift report, and the champion whose baseline it was made against."""

    champion: ModelVersion
    drift: DriftReport


def trailing_drift(
    registry: ModelRegistry, rollups: Rollups, model: str, until: datetime, policy: DriftPolicy
) -> TrailingDrift | None:
    """Test the window that ends at `until` against the baseline of its champion; None without such a baseline.

    Rows served by versions with another schema, such as a canary's, cannot be compared and are left out.
    Raises StorageError.
    """
    since = until - timedelta(hours=policy.window_hours)
    champion = served_by(registry, rollups, model, since, until)
    if champion is None or champion.baseline is None:
        return None
    baseline = champion.baseline
    bins = {**{name: histogram.bins for name, histogram in baseline.features.items()}, "score": baseline.score.bins}
    counts = rollups.feature_counts(model, None, since, until, bins)
    found = drift(baseline, counts, policy, hours=policy.window_hours)
    if found.verdict in (Verdict.MONITOR, Verdict.RETRAIN):  # only then are the hours of a week looked up
        hours = rows_by_hour(rollups, model, since - HISTORY, until, bins)
        covered = {name: coverage(counted, rows, since, until) for name, (counted, rows) in hours.items()}
        found = drift(baseline, counts, policy, hours=policy.window_hours, coverage=covered)
    return TrailingDrift(champion, found)
