"""The comparison of two versions of a model side by side; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mlops_dagster.registry import Baseline, EvaluationSlice, ModelVersion
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.schema import ModelSchema
from mlops_dagster.statistics import INDEPENDENT, DesignEffect, Histogram, coarsen, psi_from_counts, psi_noise

Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class MetricPair:
    """One metric of two versions on one slice; each version was evaluated on its own held-out rows."""

    slice: str
    metric: str
    first: float | None
    second: float | None
    first_interval: Interval | None
    second_interval: Interval | None
    first_rows: int | None
    second_rows: int | None

    @property
    def difference(self) -> float | None:
        """Second minus first; None if one of them lacks the metric."""
        return None if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True)
class SchemaChange:
    """The features that the second schema added, removed and changed, and whether the classes differ."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """Features that differ in kind or nullability."""
    task_differs: bool


@dataclass(frozen=True)
class Shift:
    """The shift of the training data from the first version to the second, in one feature, the score or the label."""

    name: str
    psi: float | None
    noise: float | None
    """The PSI that two samples of one distribution exceed in one of a hundred cases, with the design effect."""
    reason: str
    """The reason why there is no PSI; empty if there is one."""


@dataclass(frozen=True)
class Comparison:
    """All differences between two versions."""

    first: ModelVersion
    second: ModelVersion
    metrics: tuple[MetricPair, ...]
    """The pairs of the slice "overall" before all others, and the largest difference first in each part."""
    schema: SchemaChange | None
    """None if a version has no schema."""
    lineage: Mapping[str, tuple[str | None, str | None]]
    """The lineage entries that differ, each as (first, second)."""
    shifts: tuple[Shift, ...] | None
    """The largest shift first; None if a version has no baseline."""


def compare(first: ModelVersion, second: ModelVersion) -> Comparison:
    """Return the differences of the second version from the first."""
    return Comparison(
        first=first,
        second=second,
        metrics=tuple(sorted(_metrics(first, second), key=_by_difference)),
        schema=_schema(first.schema, second.schema) if first.schema and second.schema else None,
        lineage={
            name: (first.lineage.get(name), second.lineage.get(name))
            for name in sorted({*first.lineage, *second.lineage})
            if first.lineage.get(name) != second.lineage.get(name)
        },
        shifts=_shifts(first.baseline, second.baseline) if first.baseline and second.baseline else None,
    )


def _metrics(first: ModelVersion, second: ModelVersion) -> Iterable[MetricPair]:
    before, after = _slices(first), _slices(second)
    for name in before:
        if name in after:
            old, new = before[name], after[name]
            for metric in dict.fromkeys([*old.metrics, *new.metrics]):
                yield MetricPair(
                    slice=name,
                    metric=metric,
                    first=old.metrics.get(metric),
                    second=new.metrics.get(metric),
                    first_interval=old.intervals.get(metric),
                    second_interval=new.intervals.get(metric),
                    first_rows=old.rows or None,
                    second_rows=new.rows or None,
                )


def _slices(version: ModelVersion) -> Mapping[str, EvaluationSlice]:
    """Return the slices of the card; a card without "overall" gets one from the metrics of the registration."""
    slices = {part.name: part for part in (version.card.evaluation if version.card else ())}
    if OVERALL not in slices and version.metrics:
        slices[OVERALL] = EvaluationSlice(name=OVERALL, rows=0, metrics=dict(version.metrics))
    return slices


def _by_difference(pair: MetricPair) -> tuple[bool, bool, float]:
    return pair.slice != OVERALL, pair.difference is None, -abs(pair.difference or 0)


def _schema(first: ModelSchema, second: ModelSchema) -> SchemaChange:
    both = [name for name in first.names if name in second.names]
    return SchemaChange(
        added=tuple(name for name in second.names if name not in first.names),
        removed=tuple(name for name in first.names if name not in second.names),
        changed=tuple(name for name in both if first.feature(name) != second.feature(name)),
        task_differs=first.task != second.task,
    )


def _shifts(first: Baseline, second: Baseline) -> tuple[Shift, ...]:
    before, after = _histograms(first), _histograms(second)
    shared = {f"({name})" if name in ("score", "label") else name: each for name, each in first.design_effects.items()}
    shifts = [
        _shift(name, before.get(name), after.get(name), shared.get(name, INDEPENDENT))
        for name in dict.fromkeys([*before, *after])
    ]
    return tuple(sorted(shifts, key=lambda shift: (shift.psi is None, -(shift.psi or 0))))


def _histograms(baseline: Baseline) -> Mapping[str, Histogram]:
    return {**baseline.features, "(score)": baseline.score, "(label)": baseline.label}


def _shift(name: str, before: Histogram | None, after: Histogram | None, shared: DesignEffect) -> Shift:
    if before is None or after is None:
        return Shift(name, None, None, "only in the first" if after is None else "only in the second")
    if before.bins != after.bins:
        return Shift(name, None, None, "counted over different bins")
    if before.total == 0 or after.total == 0:
        return Shift(name, None, None, "nothing was counted")
    groups = len(coarsen(before, after)[0])
    noise = psi_noise(groups, before.total, after.total, shared=shared)
    return Shift(name, psi_from_counts(before, after), noise, "")
