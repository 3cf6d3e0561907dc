"""Label drift: a test of whether the shares of the classes among the true labels have moved."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlops_dagster.monitoring.drift.window import window_of
from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import (
    Bins,
    CategoricalBins,
    ChiSquaredResult,
    DesignEffect,
    Histogram,
    chi_squared_from_counts,
    psi_from_counts,
)


@dataclass(frozen=True, slots=True)
class LabelDriftReport:
    """The comparison of a window's labels with those of the training set."""

    verdict: Verdict
    rows: int
    psi: float | None
    test: ChiSquaredResult | None
    shares: Mapping[str, tuple[float, float]]
    """The share of each class in the baseline, and now."""
    policy: DriftPolicy
    """The policy whose limits were applied."""
    reason: str = ""

    @property
    def why(self) -> str:
        """The verdict with its numbers, in a sentence."""
        if self.psi is None or self.test is None:
            return self.reason
        numbers = (
            f"the shares of the classes have a PSI of {self.psi:.3f} (limits {self.policy.monitor:g} and "
            f"{self.policy.retrain:g}), chi-squared p {self.test.pvalue:.2g}"
        )
        return "; ".join(filter(None, [self.reason, numbers]))

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "rows": self.rows,
            "psi": None if self.psi is None else round(self.psi, 4),
            "chi_squared": None if self.test is None else round(self.test.statistic, 2),
            "pvalue": None if self.test is None else float(f"{self.test.pvalue:.4g}"),
            "limits": {"psi": self.policy.retrain, "pvalue": self.policy.alpha},
            "shares": {
                label: {"baseline": round(then, 4), "now": round(now, 4)} for label, (then, now) in self.shares.items()
            },
        }


def label_drift(
    baseline: Baseline, now: Histogram, policy: DriftPolicy, *, hours: float | None = None
) -> LabelDriftReport:
    """Test the labels of a window against the baseline's by chi-squared, and measure how far they moved.

    With many labels every difference is significant, so the PSI must be over a limit too; over a limit and not
    significant is `inconclusive`. Where labels come in clusters, by the policy's or the baseline's design effect, the
    statistic is first corrected as Rao and Scott do; the baseline's design effect is scaled to the window's traffic if
    its length in `hours` is known. If the baseline has two regimes, the newer one is the reference, as in `drift`.

    Source: J. N. K. Rao, A. J. Scott, Journal of the American Statistical Association 76, 1981.
    """
    window = window_of("label", baseline, now.counts, policy, hours)
    reference, shared = window.reference, window.shared
    if lacking := window.lacks(policy):
        return LabelDriftReport(Verdict.INCONCLUSIVE, now.total, None, None, {}, policy, lacking)
    test = _of_clusters(chi_squared_from_counts(reference.counts, now.counts), shared)
    moved = psi_from_counts(reference, now, bins=policy.bins)
    verdict, reason = policy.against_limits(moved), ""
    if verdict is not Verdict.STABLE and test.pvalue >= policy.alpha * policy.level_of(window.independent):
        verdict, reason = Verdict.INCONCLUSIVE, "over a limit, but by chance alone it may be as well"
    reason = "; ".join(filter(None, (reason, window.regimes)))
    return LabelDriftReport(verdict, now.total, moved, test, _shares(reference, now), policy, reason)


def histogram_of(bins: Bins, label_counts: Mapping[str, int]) -> Histogram:
    """Return the histogram of labels that were counted by name.

    >>> histogram_of(CategoricalBins(("on_time", "late")), {"late": 3, "lost": 1}).counts.tolist()
    [0, 0, 3, 1]
    """
    cells = bins.index(list(label_counts)) if label_counts else np.zeros(0, dtype=np.intp)
    counts = np.bincount(cells, weights=list(label_counts.values()), minlength=bins.size)
    return Histogram(bins, counts.astype(np.int64))


def _of_clusters(found: ChiSquaredResult, shared: DesignEffect) -> ChiSquaredResult:
    from scipy.special import chdtrc

    if found.dof == 0:
        return found
    statistic = found.statistic / shared.rows
    return ChiSquaredResult(statistic, found.dof, float(chdtrc(found.dof * shared.freedom, statistic * shared.freedom)))


def _shares(reference: Histogram, now: Histogram) -> dict[str, tuple[float, float]]:
    labels = reference.bins.categories if isinstance(reference.bins, CategoricalBins) else ()
    return {
        label: (float(reference.counts[cell] / reference.total), float(now.counts[cell] / now.total))
        for cell, label in enumerate(labels, start=1)
    }
