"""The difference between the two sides of a comparison (versions or windows)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring.comparison.counts import Counted
from mlops_dagster.monitoring.comparison.selectors import EVER
from mlops_dagster.monitoring.drift.labels import LabelDriftReport, histogram_of, label_drift
from mlops_dagster.monitoring.drift.measure import drift
from mlops_dagster.monitoring.drift.report import DriftReport
from mlops_dagster.monitoring.policy import DriftPolicy
from mlops_dagster.registry import Baseline
from mlops_dagster.statistics import Bins, CategoricalBins, Histogram


@dataclass(frozen=True, slots=True)
class Between:
    """The differences of the current side of a comparison from its reference side."""

    reference: Counted
    current: Counted
    features: DriftReport
    labels: LabelDriftReport
    left_out: Mapping[str, str]
    """Features that cannot be compared, each with the reason."""


def between(reference: Counted, current: Counted, policy: DriftPolicy) -> Between:
    """Compare the current side with the reference: PSI, Kolmogorov-Smirnov, chi-squared, each with its noise.

    Raises InvalidInputError when no feature is counted in the same bins on both sides.
    """
    before, after = reference.counts, current.counts
    left_out = dict.fromkeys(before.features.keys() ^ after.features.keys(), "only one side has it")
    for name in before.features.keys() & after.features.keys():
        if before.features[name].bins != after.features[name].bins:
            left_out[name] = "counted in different bins"
    left_out |= {**reference.left_out, **current.left_out}
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
    held_against = Baseline(alike, before.score, before.label, before.design_effects, regimes=before.regimes)
    return Between(
        reference,
        current,
        drift(held_against, counts, policy, hours=hours),
        label_drift(before, _labels_in(before.label.bins, after.label), policy, hours=hours),
        left_out,
    )


def _labels_in(bins: Bins, labels: Histogram) -> Histogram:
    """Return `labels` counted in another version's classes; labels it did not know count as unknown."""
    if labels.bins == bins:
        return labels
    names = labels.bins.categories if isinstance(labels.bins, CategoricalBins) else ()
    return histogram_of(bins, {name: int(n) for name, n in zip(names, labels.counts[1:-1], strict=True)})
