"""The windows that a drift report compares with the baseline, and the number of independent rows in them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlops_dagster.monitoring.drift.coverage import WHOLE, Coverage
from mlops_dagster.monitoring.policy import DriftPolicy
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.regimes import Regimes
from mlops_dagster.statistics import Counts, DesignEffect, Histogram, NumericBins

_CLUSTERED = 2.0
"""The design effect (rows per independent row) from which a feature's days differ by more than chance."""


class Window(NamedTuple):
    """The counts of one feature in the baseline and in the window that is judged, and their design effect."""

    reference: Histogram
    now: Histogram
    shared: DesignEffect
    worst: float | None
    """The PSI of the worst day of the training set; None if a window of this length is not compared with days."""
    coverage: Coverage
    trained: float
    """The number of independent observations in the rows of the reference, at the traffic of the training set."""
    regimes: str = ""
    """A sentence on a baseline of two regimes and the reference chosen from them; empty if there is one regime."""
    split: bool = False
    """True if the baseline is of two regimes, and the newer one has too few rows to be the reference."""

    @property
    def without_cell(self) -> float:
        """The share of rows in categories that are not told apart, on the side where that share is smaller."""
        bins = self.reference.bins
        if isinstance(bins, NumericBins):
            return 0.0
        return float(min(side.counts[bins.other] / side.total for side in (self.reference, self.now)))

    @property
    def independent(self) -> float:
        """The number of independent observations in the window's rows."""
        return self.now.total / self.shared.rows

    @property
    def filled(self) -> bool:
        """True if both sides have rows."""
        return self.reference.total > 0 and self.now.total > 0

    def lacks(self, policy: DriftPolicy) -> str:
        """Return the reason why the feature cannot be judged; empty if it can."""
        if self.split and self.filled:
            return self.regimes
        few = min(self.independent, self.trained)
        return f"{few:.3g} independent rows, {policy.min_rows:g} are needed" if few < policy.min_rows else ""


def windows_of(
    baseline: Baseline,
    counts: Mapping[str, Counts],
    policy: DriftPolicy,
    hours: float | None,
    coverage: Mapping[str, Coverage],
) -> dict[str, Window]:
    """Return the window of each feature, and that of the scores as "score"; the arguments are those of `drift.drift`.

    Raises InvalidInputError for counts in other bins.
    """
    columns = {**baseline.features, "score": baseline.score}
    return {
        name: window_of(name, baseline, counts.get(name), policy, hours, coverage.get(name, WHOLE)) for name in columns
    }


def window_of(
    name: str,
    baseline: Baseline,
    counted: Counts | None,
    policy: DriftPolicy,
    hours: float | None,
    covered: Coverage = WHOLE,
) -> Window:
    """Return the window of one feature, "score" or "label"; raises InvalidInputError for counts in other bins."""
    reference, effects = baseline.columns[name], baseline.design_effects
    now = Histogram(reference.bins, np.zeros(reference.bins.size, dtype=np.int64) if counted is None else counted)
    newer, said = newer_regime(name, baseline, policy)
    if newer is not None:
        reference, effects = newer.newer, {name: newer.effect}
    shared, worst = policy.design_effect(name, effects), None
    trained = reference.total / shared.rows
    if hours is not None:
        shared = shared.at(now.total * 24 / hours)
        worst = shared.worst_psi if hours <= 24 and shared.rows >= _CLUSTERED else None
    return Window(reference, now, shared, worst, covered, trained, said, bool(said) and newer is None)


def newer_regime(name: str, baseline: Baseline, policy: DriftPolicy) -> tuple[Regimes | None, str]:
    """Return the regimes of a column whose newer regime is the reference, and a sentence about them.

    Returns None with a sentence where the newer regime has too few rows; None and "" where the column is of one regime.
    """
    regimes = baseline.regimes.get(name)
    if regimes is None:
        return None, ""
    said = f"its baseline {regimes}"
    if regimes.newer.total / policy.design_effect(name, {name: regimes.effect}).rows >= policy.min_rows:
        return regimes, f"{said}, which are the reference"
    return None, f"{said}, which is too few to tell; train on a window that begins {regimes.since:%Y-%m-%d} or later"


def regime_lines(baseline: Baseline, policy: DriftPolicy) -> tuple[str, ...]:
    """Return a sentence for each column that changed within the training set, for the card."""
    return tuple(f"{name}: {newer_regime(name, baseline, policy)[1]}" for name in baseline.regimes)
