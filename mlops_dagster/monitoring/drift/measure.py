"""The test of drift: have served features and scores moved from the training set by more than chance explains?

Everything here is computed from counts, so a verdict can be recomputed from the counts stored with it.
"""

from collections.abc import Mapping
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from mlops_dagster.monitoring.drift.coverage import Coverage
from mlops_dagster.monitoring.drift.report import DriftReport, FeatureDrift, ScoreDrift
from mlops_dagster.monitoring.drift.window import Window, windows_of
from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import (
    Counts,
    benjamini_hochberg,
    coarsen,
    ks_from_counts,
    psi_noise,
    psi_of_groups,
    psi_pvalue,
)

_MILDEST_FIRST = tuple(Verdict)

_SAID, _NOT_TOLD = 0.1, 0.5
"""Shares of rows in categories without a cell: from the first the report mentions them, from the second it is
inconclusive."""


def drift(
    baseline: Baseline,
    counts: Mapping[str, Counts],
    policy: DriftPolicy,
    *,
    hours: float | None = None,
    coverage: Mapping[str, Coverage] | None = None,
) -> DriftReport:
    """Compare a window with the baseline; `counts` are of each feature and of "score", in the baseline's bins.

    `hours` is the length of the window, if known; design effects are then taken at its traffic. Where rows share
    causes, a window of a day or less must also have moved further than every day of the training set, whose days show
    how much one day differs from another. Few independent rows are judged at a stricter level, and with under
    `min_rows` of them, in the window or in the baseline, the verdict is inconclusive.

    `coverage` states for which part of the window counts exist, where some are missing: a difference that the missing
    hours explain is not drift (four hours of an evening have other times of day than the training set).

    A PSI over a limit counts only if it is over the noise as well: the value that two samples of one distribution
    exceed with probability `alpha`, after Benjamini and Hochberg's correction for testing many features; report_only
    features, which decide nothing, are corrected among themselves. A feature is `inconclusive` if its PSI is over a
    limit but within its noise, if it has too few rows, if most of them are in categories without a cell, or if its
    noise is over the largest possible PSI. If the baseline has two regimes, the newer one is the reference, provided it
    has enough rows; else the feature is inconclusive.

    Scores are judged by their Kolmogorov-Smirnov distance against the limit `ks`; if they are over it by more than
    chance, their PSI decides between `monitor` and `retrain`.

    Raises InvalidInputError for counts in other bins.
    """
    windows = windows_of(baseline, counts, policy, hours, coverage or {})
    score = windows.pop("score")
    moved = {name: _moved(window, policy) for name, window in windows.items() if window.filled}
    noise = {
        **_noise({name: its for name, its in moved.items() if name not in policy.report_only}, policy),
        **_noise({name: its for name, its in moved.items() if name in policy.report_only}, policy),
    }
    features = tuple(
        _feature(name, window, moved.get(name), noise.get(name), policy) for name, window in windows.items()
    )
    scores = _scores(score, policy)
    verdicts = [each.verdict for each in features if not each.report_only]
    if scores.elevated:
        verdicts.append(scores.verdict)
    return DriftReport(
        verdict=max(verdicts, key=_MILDEST_FIRST.index, default=Verdict.INCONCLUSIVE),
        rows=max((window.now.total for window in windows.values()), default=0),
        features=features,
        score=scores,
        policy=policy,
    )


class _Moved(NamedTuple):
    """The counts of a feature in groups as large as the policy asks for, and their distance as a PSI."""

    window: Window
    before: Counts
    after: Counts
    psi: float


def _moved(window: Window, policy: DriftPolicy) -> _Moved:
    before, after = coarsen(window.reference, window.now, policy.bins)
    return _Moved(window, before, after, psi_of_groups(before, after))


def _noise(moved: Mapping[str, _Moved], policy: DriftPolicy) -> dict[str, float]:
    """Return the PSI that chance may reach, for each feature with enough rows.

    It is taken at the level that Benjamini-Hochberg grants, `alpha` times the share of rejected features,
    so a PSI is over its noise exactly when that procedure rejects the feature; few rows have a stricter level.
    """
    enough = {name: its for name, its in moved.items() if not its.window.lacks(policy)}
    sizes = {name: (len(its.before), its.window.reference.total, its.window.now.total) for name, its in enough.items()}
    care = {name: policy.level_of(its.window.independent) for name, its in enough.items()}
    pvalues = [
        min(psi_pvalue(its.psi, *sizes[name], shared=its.window.shared) / care[name], 1.0)
        for name, its in enough.items()
    ]
    level = policy.alpha * max(sum(benjamini_hochberg(pvalues, policy.alpha)), 1) / max(len(enough), 1)
    return {
        name: psi_noise(*sizes[name], alpha=level * care[name], shared=its.window.shared)
        for name, its in enough.items()
    }


def _feature(name: str, window: Window, moved: _Moved | None, noise: float | None, policy: DriftPolicy) -> FeatureDrift:
    if moved is None or noise is None:
        verdict, reason = Verdict.INCONCLUSIVE, window.lacks(policy)
    else:
        verdict, reason = _judged(moved, noise, policy)
        reason = "; ".join(filter(None, (reason, window.regimes)))
    psi = None if moved is None else moved.psi
    return FeatureDrift(name, psi, noise, verdict, name in policy.report_only, window.independent, reason)


def _judged(moved: _Moved, noise: float, policy: DriftPolicy) -> tuple[Verdict, str]:
    """Return the verdict, and the reason to report with it."""
    window, before, after, psi = moved
    verdict = policy.against_limits(psi)
    if noise > (most := _largest_psi(before, after)):
        return Verdict.INCONCLUSIVE, f"its noise is over {most:.3f}, the largest PSI that so many rows could have"
    if verdict is Verdict.STABLE:
        return _stable(window.without_cell)
    if psi <= noise:
        return Verdict.INCONCLUSIVE, "over a limit, but within its noise"
    if window.worst is not None and psi <= window.worst:
        return Verdict.INCONCLUSIVE, f"over a limit, but a day of the training set had {window.worst:.3f}"
    if window.coverage.explains(before, after):
        return Verdict.INCONCLUSIVE, f"over a limit, but {window.coverage}"
    return verdict, ""


def _stable(without_cell: float) -> tuple[Verdict, str]:
    if without_cell < _SAID:
        return Verdict.STABLE, ""
    reason = f"{without_cell:.0%} of the rows are in categories without a cell, among which nothing is seen"
    return (Verdict.STABLE if without_cell < _NOT_TOLD else Verdict.INCONCLUSIVE), reason


def _largest_psi(before: Counts, after: Counts) -> float:
    """Return the PSI if all rows were in the group of which the reference has the fewest rows."""
    return psi_of_groups(before, np.where(np.arange(len(before)) == np.argmin(before), after.sum(), 0))


def _scores(window: Window, policy: DriftPolicy) -> ScoreDrift:
    if not window.filled:
        return ScoreDrift(None, None, None, Verdict.INCONCLUSIVE, "no scores")
    before, after = coarsen(window.reference, window.now, policy.bins)
    psi, noise = psi_of_groups(before, after), _distance_noise(window, policy.alpha)
    ks = ks_from_counts(window.reference, window.now)

    def found(verdict: Verdict, reason: str) -> ScoreDrift:
        return ScoreDrift(ks, noise, psi, verdict, "; ".join(filter(None, (reason, window.regimes))))

    if lacking := window.lacks(policy):
        return ScoreDrift(ks, noise, psi, Verdict.INCONCLUSIVE, lacking)
    if ks.statistic <= policy.ks:
        return found(Verdict.STABLE, "")
    if ks.statistic <= noise:
        return found(Verdict.INCONCLUSIVE, "over its limit, but within its noise")
    if window.coverage.explains_distance(ks.statistic):
        return found(Verdict.INCONCLUSIVE, f"over its limit, but {window.coverage}")
    chance = psi_noise(
        len(before),
        window.reference.total,
        window.now.total,
        alpha=policy.alpha * policy.level_of(window.independent),
        shared=window.shared,
    )
    return found(Verdict.RETRAIN if psi > max(policy.retrain, chance) else Verdict.MONITOR, "")


def _distance_noise(window: Window, alpha: float) -> float:
    """Return the distance D that chance alone exceeds with probability `alpha` at most; with few rows it is over 1.

    Source: the leading term of Kolmogorov's limit, Q(x) = 2 exp(-2 x^2), which for few rows is on the safe side.
    """
    spread = window.shared.rows * (1 / window.reference.total + 1 / window.now.total)
    return sqrt(log(2 / alpha) / 2 * spread)
