"""Any two: what is held against what, and where its counts come from."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring.drift import DriftReport, drift
from mlops_dagster.monitoring.label_drift import LabelDriftReport, histogram_of, label_drift
from mlops_dagster.monitoring.policy import DriftPolicy
from mlops_dagster.monitoring.recount import count_rows
from mlops_dagster.predictions import PredictionLog, Rollups
from mlops_dagster.registry import Baseline, ModelRegistry, ModelVersion
from mlops_dagster.statistics import CategoricalBins, Counts, Histogram

TRAINING = "training"
EVER = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d))?Z?")
_HOW = "write an hour (2013-03-01T10), a day (2013-03-01) or a range without its end (2013-03-01..2013-03-08), UTC"


@dataclass(frozen=True, slots=True)
class Side:
    """What one version (None: all) served in [since, until), in whole hours; or what it was trained on."""

    text: str
    version: str | None
    since: datetime
    until: datetime
    training: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A side with its counts, in the shape of a baseline."""

    side: Side
    counts: Baseline

    @property
    def rows(self) -> int:
        return max((histogram.total for histogram in self.counts.features.values()), default=0)


@dataclass(frozen=True, slots=True)
class Between:
    """How far the current side is from the reference."""

    reference: Counted
    current: Counted
    features: DriftReport
    labels: LabelDriftReport
    left_out: Mapping[str, str]
    """Features that do not compare, and why."""


def parse_side(text: str, now: datetime) -> Side:
    """A version, a time, `VERSION@TIME` or `VERSION@training`; a version alone is all that it served until now.

    Raises InvalidInputError for a time that is malformed or still to come.

    >>> side = parse_side("2.4.1@2013-03-01T10", datetime(2013, 3, 2, tzinfo=UTC))
    >>> side.version, side.since.hour, side.until.hour
    ('2.4.1', 10, 11)
    """
    version, at, when = text.rpartition("@")
    if at and when == TRAINING:
        return Side(text, version, EVER, now, training=True)
    if not at and not re.match(r"\d{4}-", text):
        return Side(text, text, EVER, now)
    since, until = _window(when)
    if since >= until:
        raise InvalidInputError(f"the time {when!r} ends before it begins; {_HOW}")
    if since > now:
        raise InvalidInputError(f"nothing was served in {when!r} yet: it is {now:%Y-%m-%dT%H:%M} UTC")
    return Side(text, version or None, since, until)


def _window(text: str) -> tuple[datetime, datetime]:
    first, between, last = text.partition("..")
    since, length = _start(first)
    return (since, _start(last)[0]) if between else (since, since + length)


def _start(text: str) -> tuple[datetime, timedelta]:
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"{text!r} is no time; {_HOW}")
    day, hour = found.groups()
    try:
        since = datetime.fromisoformat(f"{day}T{hour or '00'}:00:00+00:00")
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is no time ({error}); {_HOW}") from error
    return since, timedelta(days=1) if hour is None else timedelta(hours=1)


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


def recount(log: PredictionLog, rollups: Rollups, model: str, side: Side, like: Baseline) -> Counted:
    """The counts of a side that served, from the rows of the log, in the bins of `like`.

    Raises InvalidInputError when there are no rows, StorageError.
    """
    bins = {**{name: histogram.bins for name, histogram in like.features.items()}, "score": like.score.bins}
    found = count_rows(log, model, side.since, side.until, bins, side.version)
    if not any(each.any() for each in found.values()):
        raise InvalidInputError(f"{model} has no rows of {side.text!r} in its log")
    features = {name: Histogram(histogram.bins, found[name]) for name, histogram in like.features.items()}
    labels = histogram_of(like.label.bins, _labels(rollups, model, side))
    return Counted(side, Baseline(features, Histogram(like.score.bins, found["score"]), labels, like.design_effects))


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


def between(reference: Counted, current: Counted, policy: DriftPolicy) -> Between:
    """The current side held against the reference: PSI, Kolmogorov-Smirnov, chi-squared, each with its noise.

    Raises InvalidInputError when no feature is counted in the same bins on both sides.
    """
    before, after = reference.counts, current.counts
    left_out = dict.fromkeys(before.features.keys() ^ after.features.keys(), "only one side has it")
    for name in before.features.keys() & after.features.keys():
        if before.features[name].bins != after.features[name].bins:
            left_out[name] = "counted in different bins"
    alike = {name: histogram for name, histogram in before.features.items() if name not in left_out}
    if not alike:
        raise InvalidInputError(
            f"{reference.side.text!r} and {current.side.text!r} have no feature in common that is counted in the same "
            "bins; compare versions of one schema"
        )
    hours = None if current.side.since == EVER else (current.side.until - current.side.since) / timedelta(hours=1)
    counts = {name: after.features[name].counts for name in alike}
    if before.score.bins == after.score.bins:
        counts["score"] = after.score.counts
    return Between(
        reference,
        current,
        drift(Baseline(alike, before.score, before.label, before.design_effects), counts, policy, hours=hours),
        label_drift(before, _by_name(after.label), policy),
        left_out,
    )


def _by_name(labels: Histogram) -> dict[str, int]:
    names = labels.bins.categories if isinstance(labels.bins, CategoricalBins) else ()
    return {name: int(n) for name, n in zip(names, labels.counts[1:-1], strict=True)}
