"""Drift: has what the model sees moved away from what it was trained on, by more than chance moves it?

Everything here is computed from counts, so a verdict can be recomputed from what was stored with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.statistics import (
    Counts,
    DesignEffect,
    Histogram,
    KsResult,
    benjamini_hochberg,
    coarsen,
    ks_from_counts,
    psi_noise,
    psi_of_groups,
    psi_pvalue,
)

_CLUSTERED = 2.0
"""Rows per independent one from which the days of a feature differ by more than by chance."""

_GRAVITY = (Verdict.STABLE, Verdict.CANNOT_TELL, Verdict.MONITOR, Verdict.RETRAIN)


class Window(NamedTuple):
    """One feature in the baseline, and in the window that is judged; and what its rows are worth."""

    reference: Histogram
    now: Histogram
    shared: DesignEffect
    worst: float | None
    """The PSI of the worst day of the training set; None if a window of this length is not to be held against days."""

    @property
    def independent(self) -> float:
        """How many independent observations the window's rows are."""
        return self.now.total / self.shared.rows


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature: its PSI against the baseline, and the PSI that chance alone may reach."""

    name: str
    psi: float | None  # None without rows
    noise: float | None  # None with too few rows
    verdict: Verdict
    advisory: bool
    independent_rows: float
    """What the window's rows of it are worth: those that share a cause count together as one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All features and the score of a window. `verdict` is the gravest of those that are not advisory."""

    verdict: Verdict
    rows: int
    features: tuple[FeatureDrift, ...]
    ks: KsResult | None
    ks_noise: float | None
    elevated: bool
    """The scores have moved by more than the policy's limit and by more than chance."""
    policy: DriftPolicy
    """What it was held against."""

    @property
    def drifted(self) -> tuple[str, ...]:
        """The features that ask for retraining."""
        return tuple(each.name for each in self.features if each.verdict is Verdict.RETRAIN and not each.advisory)

    @property
    def worst_psi(self) -> float | None:
        """The largest PSI of a feature that is not advisory and has enough rows; None without one."""
        told = (each.psi for each in self.features if not each.advisory and each.noise is not None)
        return max((psi for psi in told if psi is not None), default=None)

    def headline(self) -> dict[str, float | None]:
        """The two numbers that decide, beside their limits: what is worth a plot over time."""
        return {
            "worst_psi": _rounded(self.worst_psi),
            "psi_limit": self.policy.retrain,
            "ks": _rounded(self.ks and self.ks.statistic),
            "ks_limit": self.policy.ks,
        }

    def metadata(self) -> dict[str, object]:
        """The numbers as JSON can hold them; `retraining.DriftSignal` reads them back."""
        return {
            "verdict": self.verdict.value,
            "rows": self.rows,
            "drifted": list(self.drifted),
            "cannot_tell": [each.name for each in self.features if each.verdict is Verdict.CANNOT_TELL],
            "psi": {each.name: _rounded(each.psi) for each in self.features},
            "psi_noise": {each.name: _rounded(each.noise) for each in self.features},
            "independent_rows": {each.name: round(each.independent_rows, 1) for each in self.features},
            **self.headline(),
            "ks_noise": _rounded(self.ks_noise),
            "score_elevated": self.elevated,
        }

    def to_markdown(self) -> str:
        """A table for people, the largest PSI first: each number beside what it is held against."""
        lines = ["| feature | PSI | noise | verdict | |", "|---|---|---|---|---|"]
        for each in sorted(self.features, key=lambda each: -(each.psi or 0)):
            remarks = "; ".join(filter(None, ["advisory" if each.advisory else "", each.reason]))
            lines.append(f"| {each.name} | {_text(each.psi)} | {_text(each.noise)} | {each.verdict} | {remarks} |")
        distance = self.ks and self.ks.statistic
        state = "elevated" if self.elevated else "not elevated"
        lines.append(f"\n{self.rows} rows. Score: KS D {_text(distance)}, noise {_text(self.ks_noise)}, {state}.")
        return "\n".join(lines)


def drift(
    baseline: Baseline, counts: Mapping[str, Counts], policy: DriftPolicy, *, hours: float | None = None
) -> DriftReport:
    """Hold a window against the baseline; `counts` are of each feature and of "score", in the baseline's bins.

    `hours` is how long the window is, as far as that is known. What rows are worth is then taken at its traffic. And
    where they share causes, one of a day or less must have moved further than every day of the training set did: what
    one grey day looks like is known from those. With that, few independent rows may be judged too, at a stricter level.

    A PSI over a limit says something only if it is over the noise as well: the value that two samples of one
    distribution exceed with probability `alpha`, after Benjamini and Hochberg's correction for looking at many
    features. One over a limit and inside its noise is `cannot_tell`, as is a feature with too few rows.
    Elevated scores are a reason to monitor.

    Raises InvalidInputError for counts in other bins.
    """
    windows = {
        name: _window(name, reference, counts, baseline, policy, hours) for name, reference in baseline.features.items()
    }
    groups = {
        name: coarsen(window.reference, window.now, policy.bins) for name, window in windows.items() if _filled(window)
    }
    psis = {name: psi_of_groups(*counted) for name, counted in groups.items()}
    noise = _noise(windows, {name: len(counted) for name, (counted, _) in groups.items()}, psis, policy)
    features = tuple(_feature(name, windows[name], psis.get(name), noise.get(name), policy) for name in windows)
    ks, ks_noise = _score_distance(_window("score", baseline.score, counts, baseline, policy, hours), policy)
    elevated = ks is not None and ks_noise is not None and ks.statistic > max(policy.ks, ks_noise)
    verdicts = [each.verdict for each in features if not each.advisory]
    if elevated:
        verdicts.append(Verdict.MONITOR)
    return DriftReport(
        verdict=max(verdicts, key=_GRAVITY.index, default=Verdict.CANNOT_TELL),
        rows=max((window.now.total for window in windows.values()), default=0),
        features=features,
        ks=ks,
        ks_noise=ks_noise,
        elevated=elevated,
        policy=policy,
    )


def _window(
    name: str,
    reference: Histogram,
    counts: Mapping[str, Counts],
    baseline: Baseline,
    policy: DriftPolicy,
    hours: float | None,
) -> Window:
    now = Histogram(reference.bins, counts.get(name, np.zeros(reference.bins.size, dtype=np.int64)))
    shared = policy.design_effect(name, baseline.design_effects)
    if hours is None:
        return Window(reference, now, shared, None)
    shared = shared.at(now.total * 24 / hours)
    return Window(reference, now, shared, shared.worst_psi if hours <= 24 and shared.rows >= _CLUSTERED else None)


def _filled(window: Window) -> bool:
    return window.reference.total > 0 and window.now.total > 0


def _noise(
    windows: Mapping[str, Window], groups: Mapping[str, int], psis: Mapping[str, float], policy: DriftPolicy
) -> dict[str, float]:
    """The PSI that chance may reach, of each feature with enough rows.

    It is taken at the level that Benjamini-Hochberg grants, `alpha` times the share of rejected features,
    so a PSI is over its noise just when that procedure rejects the feature.
    """
    enough = [name for name in psis if _enough(windows[name], policy)]
    sizes = {name: (groups[name], windows[name].reference.total, windows[name].now.total) for name in enough}
    care = {name: min(windows[name].independent / policy.min_rows, 1.0) ** 2 for name in enough}
    pvalues = [
        min(psi_pvalue(psis[name], *sizes[name], shared=windows[name].shared) / care[name], 1.0) for name in enough
    ]
    level = policy.alpha * max(sum(benjamini_hochberg(pvalues, policy.alpha)), 1) / max(len(enough), 1)
    return {name: psi_noise(*sizes[name], alpha=level * care[name], shared=windows[name].shared) for name in enough}


def _enough(window: Window, policy: DriftPolicy) -> bool:
    """Few independent rows may be judged where the days of the training set are known as well.

    Then the level is that of `min_rows` times the square of what is there of them: the chi-squared behind the noise is
    too small for few rows, and this makes up for it (`tests/monitoring/test_few_rows.py`).
    """
    return window.reference.total >= policy.min_rows and (
        window.independent >= policy.min_rows or window.worst is not None
    )


def _feature(name: str, window: Window, moved: float | None, noise: float | None, policy: DriftPolicy) -> FeatureDrift:
    verdict, reason = _judged(window, moved, noise, policy)
    return FeatureDrift(name, moved, noise, verdict, name in policy.advisory, window.independent, reason)


def _judged(window: Window, moved: float | None, noise: float | None, policy: DriftPolicy) -> tuple[Verdict, str]:
    """The verdict, and what is to be said beside it."""
    if moved is None or noise is None:
        few = min(window.independent, window.reference.total)
        return Verdict.CANNOT_TELL, f"{few:.3g} independent rows, {policy.min_rows:g} are needed"
    verdict = policy.against_limits(moved)
    if verdict is not Verdict.STABLE and moved <= noise:
        return Verdict.CANNOT_TELL, "over a limit, but within its noise"
    if verdict is not Verdict.STABLE and window.worst is not None and moved <= window.worst:
        return Verdict.CANNOT_TELL, f"over a limit, but a day of the training set had {window.worst:.3f}"
    return verdict, ""


def _score_distance(window: Window, policy: DriftPolicy) -> tuple[KsResult | None, float | None]:
    """D, and the D that chance alone exceeds with probability `alpha` at most; with few rows it is over 1.

    Source of the quantile: the leading term of Kolmogorov's limit, Q(x) = 2 exp(-2 x^2), which for few rows
    is on the safe side.
    """
    if not _filled(window):
        return None, None
    reference, now, shared, _ = window
    spread = shared.rows * (1 / reference.total + 1 / now.total)
    return ks_from_counts(reference, now), sqrt(log(2 / policy.alpha) / 2 * spread)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
