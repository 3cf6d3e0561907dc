"""The observation of missing values, by feature."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting.judging import Counted, Observation, Seen, Watch
from mlops_dagster.loop.watching.fleet import HOUR
from mlops_dagster.loop.watching.increments import hour_of
from mlops_dagster.loop.watching.subject import Subject
from mlops_dagster.registry import Baseline
from mlops_dagster.statistics import INDEPENDENT, Counts, rate_upper_bound
from mlops_dagster.statistics.bins.columns import MISSING

_SETTLED: Final = timedelta(minutes=10)
"""The time after an hour's end by which its counts are there."""
_ALPHA: Final = 0.01
"""The share of features whose rate in the training set is above its bound by chance."""


def missing_values(subject: Subject, watch: Watch) -> Observation | None:
    """Return the rows of the whole hours since the last look, and how many of them lack each feature.

    The share of missing values in the training set, at its upper bound of 99 %, is tolerated. None without a baseline,
    and before an hour is over.
    """
    until = hour_of(subject.now - _SETTLED)
    if watch.version != subject.champion or not watch.kept:
        since = until
    else:
        since = datetime.fromtimestamp(watch.kept[0], tz=until.tzinfo)
        if since >= until:
            return None
    baseline = subject.stores.registry.get(subject.model, subject.champion).baseline
    if baseline is None:
        return None
    bins = {name: histogram.bins for name, histogram in baseline.features.items()}
    found: Mapping[str, Counts] = {}
    if since < until:
        found = subject.stores.rollups.feature_counts(subject.model, [subject.champion], since, until, bins)
    hours = max((until - since) / HOUR, 1.0)
    counts = {name: _counted(subject, baseline, name, found.get(name), hours) for name in baseline.features}
    return Seen(subject.champion, counts=counts, kept=(until.timestamp(),))


def _counted(subject: Subject, baseline: Baseline, name: str, counts: Counts | None, hours: float) -> Counted:
    rows = 0 if counts is None else int(counts.sum())
    limits = subject.alerts.null_rate
    effect = baseline.design_effects.get(name, INDEPENDENT)
    stated = None if limits is None else limits.rows_per_observation
    of_training = baseline.features[name]
    tolerated = rate_upper_bound(
        int(of_training.counts[MISSING]), of_training.total, alpha=_ALPHA, shared=stated or effect.rows
    )
    return Counted(
        bad=0 if counts is None else int(counts[MISSING]),
        trials=rows,
        tolerated=tolerated if of_training.counts[MISSING] else 0.0,
        rows_per_observation=stated or (effect.at(rows / hours * 24).rows if rows else effect.rows),
    )
