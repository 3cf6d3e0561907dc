"""The counts of a side: from baselines and rollups, or once more from the rows of the log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring.label_drift import histogram_of
from mlops_dagster.monitoring.recount import count_rows
from mlops_dagster.monitoring.sides import TRAINING, Side
from mlops_dagster.predictions import PredictionLog, Rollups
from mlops_dagster.registry import Baseline, ModelRegistry, ModelVersion
from mlops_dagster.statistics import Counts, Histogram, NumericBins


@dataclass(frozen=True, slots=True)
class Counted:
    """A side with its counts, in the shape of a baseline."""

    side: Side
    counts: Baseline
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Features that could not be counted, and why."""

    @property
    def rows(self) -> int:
        return max((histogram.total for histogram in self.counts.features.values()), default=0)


def count(registry: ModelRegistry, rollups: Rollups, model: str, side: Side) -> Counted:
    """The counts of a side, from baselines and rollups.

    Raises ModelNotFoundError and VersionNotFoundError; InvalidInputError when nothing was counted, or in bins of
    several schemas.
    """
    version = _version(registry, rollups, model, side)
    baseline = version.baseline
    if baseline is None:
        raise InvalidInputError(f"{model} {version.version} has no baseline, so nothing is counted of it")
    if side.training:
        return Counted(side, baseline)
    versions = None if side.version is None else [version.version]
    counts = rollups.feature_counts(model, versions, side.since, side.until)
    if not any(each.any() for each in counts.values()):
        raise InvalidInputError(f"{model} has no counts of {side.text!r}{_trained(side)}")
    return Counted(
        side,
        Baseline(
            features={name: _histogram(histogram, counts.get(name)) for name, histogram in baseline.features.items()},
            score=_histogram(baseline.score, counts.get("score")),
            label=histogram_of(baseline.label.bins, _labels(rollups, model, side)),
            design_effects=baseline.design_effects,
        ),
    )


def recount(
    registry: ModelRegistry, log: PredictionLog, rollups: Rollups, model: str, side: Side, like: Baseline
) -> Counted:
    """The counts of a side that served, from the rows of the log, in the bins of `like`.

    Features that no version of that time had, or had as another kind, are left out. Raises InvalidInputError when there
    are no rows, StorageError.
    """
    left_out = _unknown_then(registry, model, side, like)
    bins = {name: histogram.bins for name, histogram in like.features.items() if name not in left_out}
    found = count_rows(log, model, side.since, side.until, {**bins, "score": like.score.bins}, side.version)
    if not any(each.any() for each in found.values()):
        raise InvalidInputError(f"{model} has no rows of {side.text!r} in its log")
    left_out |= dict.fromkeys(bins.keys() - found.keys(), "the log has no values of it, or of another kind")
    features = {name: Histogram(its, found[name]) for name, its in bins.items() if name in found}
    labels = histogram_of(like.label.bins, _labels(rollups, model, side))
    score = _histogram(like.score, found.get("score"))
    return Counted(side, Baseline(features, score, labels, like.design_effects), left_out)


def _unknown_then(registry: ModelRegistry, model: str, side: Side, like: Baseline) -> dict[str, str]:
    """What the schema of the side's version, or of any that there was by then, did not have; nothing is without one."""
    if side.version is not None:
        versions = [registry.get(model, side.version)]
    else:
        versions = [version for version in registry.list(model) if version.created_at < side.until]
    kinds = {name: set[str]() for name in like.features}
    for version in versions:
        if version.schema is None:
            return {}
        for feature in version.schema.features:
            kinds.setdefault(feature.name, set()).add(feature.kind)
    if not versions:
        return {}
    left_out = {}
    for name, histogram in like.features.items():
        kind = "numeric" if isinstance(histogram.bins, NumericBins) else "categorical"
        if not kinds[name]:
            left_out[name] = "no version of that time had it"
        elif kind not in kinds[name]:
            left_out[name] = f"it is {kind} in the reference, and was {kinds[name].pop()} then"
    return left_out


def _labels(rollups: Rollups, model: str, side: Side) -> Counter[str]:
    labels: Counter[str] = Counter()
    for (label, _), n in rollups.confusion(model, side.version, side.since, side.until).items():
        labels[label] += n
    return labels


def _version(registry: ModelRegistry, rollups: Rollups, model: str, side: Side) -> ModelVersion:
    """The version whose bins hold: of all that served in a time, one that has a baseline; the others have the same."""
    if side.version is not None:
        return registry.get(model, side.version)
    versions = {version.version: version for version in registry.list(model)}
    served = [versions[name] for name in rollups.versions(model, side.since, side.until) if name in versions]
    counted = [version for version in served if version.baseline is not None]
    if not counted:
        raise InvalidInputError(f"{model} has no counts of {side.text!r}{_trained(side)}")
    return counted[0]


def _trained(side: Side) -> str:
    return "" if side.version is None else f"; `{side.version}@{TRAINING}` is what it was trained on"


def _histogram(like: Histogram, counts: Counts | None) -> Histogram:
    return Histogram(like.bins, np.zeros(like.bins.size, dtype=np.int64) if counts is None else counts)
