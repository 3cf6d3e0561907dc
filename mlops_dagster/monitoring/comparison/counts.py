"""The counts of one side of a comparison: from baselines and rollups, or recounted from the rows of the log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring.comparison.selectors import TRAINING, Side
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.monitoring.drift.recount import count_rows
from mlops_dagster.predictions import PredictionLog, Rollups
from mlops_dagster.registry import Baseline, ModelRegistry, ModelVersion
from mlops_dagster.statistics import Counts, Histogram, NumericBins


@dataclass(frozen=True, slots=True)
class Counted:
    """One side of a comparison with its counts, in the shape of a baseline."""

    side: Side
    counts: Baseline
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Features that could not be counted, each with the reason."""

    @property
    def rows(self) -> int:
        return max((histogram.total for histogram in self.counts.features.values()), default=0)


def count(registry: ModelRegistry, rollups: Rollups, model: str, side: Side) -> Counted:
    """Return the counts of a side, from baselines and rollups.

    Features that the versions of that time counted in different bins are left out. Raises ModelNotFoundError and
    VersionNotFoundError; InvalidInputError when nothing was counted.
    """
    baselines = _baselines(registry, rollups, model, side)
    if side.training:
        return Counted(side, baselines[0])
    counts = rollups.feature_counts(model, side.version and [side.version], side.since, side.until)
    if not any(each.any() for each in counts.values()):
        raise InvalidInputError(f"{model} has no counts of {side.text!r}{_trained(side)}")
    known = {name: histogram for each in baselines for name, histogram in each.features.items()}
    return Counted(
        side,
        Baseline(
            features={name: Histogram(its.bins, counts[name]) for name, its in known.items() if name in counts},
            score=_histogram(baselines[0].score, counts.get("score")),
            label=histogram_of(baselines[0].label.bins, _labels(rollups, model, side)),
            design_effects={name: effect for each in baselines for name, effect in each.design_effects.items()},
        ),
        dict.fromkeys(known.keys() - counts.keys(), f"counted in different bins during {side.text}"),
    )


def recount(
    registry: ModelRegistry, log: PredictionLog, rollups: Rollups, model: str, side: Side, like: Baseline
) -> Counted:
    """Count a side that served from the rows of the log, in the bins of `like`.

    For each feature, rows of versions that lack the feature, or have it as another kind, are not counted: the value is
    not missing there. A feature without any row is left out. Raises InvalidInputError when there are no rows,
    StorageError.
    """
    versions = registry.list(model) if side.version is None else [registry.get(model, side.version)]
    lacking = {name: _lacking(versions, name, histogram) for name, histogram in like.features.items()}
    left_out = {name: _why(its, like.features[name]) for name, its in lacking.items() if len(its) == len(versions)}
    bins = {name: histogram.bins for name, histogram in like.features.items() if name not in left_out}
    asked = {**bins, "score": like.score.bins}
    counts = count_rows(log, model, side.since, side.until, asked, side.version, lacking)
    found = {name: each for name, each in counts.items() if each.any()}
    if not found:
        raise InvalidInputError(f"{model} has no rows of {side.text!r} in its log")
    left_out |= dict.fromkeys(bins.keys() - found.keys(), "the log has no values of it, or of another kind")
    features = {name: Histogram(its, found[name]) for name, its in bins.items() if name in found}
    labels = histogram_of(like.label.bins, _labels(rollups, model, side))
    score = _histogram(like.score, found.get("score"))
    return Counted(side, Baseline(features, score, labels, like.design_effects), left_out)


def _lacking(versions: Iterable[ModelVersion], name: str, histogram: Histogram) -> dict[str, str | None]:
    """Return the versions whose schema lacks the feature as this kind, each with the kind it has instead, or None."""
    schemas = {version.version: version.schema for version in versions if version.schema is not None}
    kinds = {version: its.feature(name).kind if name in its.names else None for version, its in schemas.items()}
    return {version: kind for version, kind in kinds.items() if kind != _kind(histogram)}


def _why(lacking: Mapping[str, str | None], histogram: Histogram) -> str:
    kind = next(filter(None, lacking.values()), None)
    if kind is None:
        return "no version of that time had it"
    return f"it is {_kind(histogram)} in the reference, and was {kind} then"


def _kind(histogram: Histogram) -> str:
    return "numeric" if isinstance(histogram.bins, NumericBins) else "categorical"


def _labels(rollups: Rollups, model: str, side: Side) -> Mapping[str, int]:
    return rollups.label_counts(model, side.since, side.until, version=side.version)


def _baselines(registry: ModelRegistry, rollups: Rollups, model: str, side: Side) -> list[Baseline]:
    """Return the baseline of the side's version; without a version, the baselines of all versions that served then."""
    if side.version is not None:
        baseline = registry.get(model, side.version).baseline
        if baseline is None:
            raise InvalidInputError(f"{model} {side.version} has no baseline, so nothing is counted of it")
        return [baseline]
    served = set(rollups.versions(model, side.since, side.until))
    found = [each.baseline for each in registry.list(model) if each.version in served and each.baseline is not None]
    if not found:
        raise InvalidInputError(f"{model} has no counts of {side.text!r}")
    return found


def _trained(side: Side) -> str:
    return "" if side.version is None else f"; `{side.version}@{TRAINING}` is what it was trained on"


def _histogram(like: Histogram, counts: Counts | None) -> Histogram:
    return Histogram(like.bins, np.zeros(like.bins.size, dtype=np.int64) if counts is None else counts)
