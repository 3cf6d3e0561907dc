"""The weekly judgement of a model: the labels that became known, against the champion's baseline."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlops_dagster.loop.judging.findings import LABELS, NO_CHAMPION, WeekOfLabels
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import label_drift
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.monitoring.served_by import served_by
from mlops_dagster.reports import WEEK, Report
from mlops_dagster.stores import Stores


def judge_weeks(stores: Stores, spec: ModelSpec, weeks: Sequence[datetime]) -> list[Report[WeekOfLabels]]:
    """Test the labels that became known in each week against its champion's baseline, and save the reports.

    `weeks` are the times at which the weeks begin. Raises StorageError.
    """
    return [_labels_of(stores, spec, week) for week in weeks]


def _labels_of(stores: Stores, spec: ModelSpec, week: datetime) -> Report[WeekOfLabels]:
    until = week + WEEK
    champion = served_by(stores.registry, stores.rollups, spec.model, week, until)
    if champion is None or champion.baseline is None:
        return stores.reports.save(LABELS, spec.model, week, WeekOfLabels(), **NO_CHAMPION)
    labels = histogram_of(champion.baseline.label.bins, stores.rollups.label_counts(spec.model, week, until))
    report = label_drift(champion.baseline, labels, spec.drift, hours=WEEK / timedelta(hours=1))
    return stores.reports.save(
        LABELS,
        spec.model,
        week,
        WeekOfLabels(report),
        verdict=report.verdict.value,
        reason=report.why,
        champion=champion.version,
    )
