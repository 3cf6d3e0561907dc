"""The windows that a drift report holds against the baseline, and what their rows are worth."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlops_dagster.monitoring.coverage import WHOLE, Coverage
from mlops_dagster.monitoring.policy import DriftPolicy
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.statistics import Counts, DesignEffect, Histogram, NumericBins

_CLUSTERED = 2.0
"""Rows per independent one from which the days of a feature differ by more than by chance."""


class Window(NamedTuple):
    """One feature in the baseline, and in the window that is judged; and what its rows are worth."""

    reference: Histogram
    now: Histogram
    shared: DesignEffect
    worst: float | None
    """The PSI of the worst day of the training set; None if a window of this length is not to be held against days."""
    coverage: Coverage

    @property
    def without_cell(self) -> float:
        """The share of the rows in categories that are not told apart, on the side that has fewer of them."""
        bins = self.reference.bins
        if isinstance(bins, NumericBins):
            return 0.0
        return float(min(side.counts[bins.other] / side.total for side in (self.reference, self.now)))

    @property
    def independent(self) -> float:
        """How many independent observations the window's rows are."""
        return self.now.total / self.shared.rows

    @property
    def filled(self) -> bool:
        """Whether both sides have rows."""
        return self.reference.total > 0 and self.now.total > 0

    def enough(self, policy: DriftPolicy) -> bool:
        """Whether it can be judged: few independent rows may be where the days of the training set are known."""
        return self.reference.total >= policy.min_rows and (
            self.independent >= policy.min_rows or self.worst is not None
        )


def windows_of(
    baseline: Baseline,
    counts: Mapping[str, Counts],
    policy: DriftPolicy,
    hours: float | None,
    coverage: Mapping[str, Coverage],
) -> dict[str, Window]:
    """The window of each feature, and that of the scores as "score"; the arguments are those of `drift.drift`.

    Raises InvalidInputError for counts in other bins.
    """
    found = {}
    for name, reference in {**baseline.features, "score": baseline.score}.items():
        now = Histogram(reference.bins, counts.get(name, np.zeros(reference.bins.size, dtype=np.int64)))
        shared, worst = policy.design_effect(name, baseline.design_effects), None
        if hours is not None:
            shared = shared.at(now.total * 24 / hours)
            worst = shared.worst_psi if hours <= 24 and shared.rows >= _CLUSTERED else None
        found[name] = Window(reference, now, shared, worst, coverage.get(name, WHOLE))
    return found
