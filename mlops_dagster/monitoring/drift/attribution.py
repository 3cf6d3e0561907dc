"""Attribution of a change of the error rate to each drifted feature (Kitagawa: mix effect plus rate effect).

The change of the rate of wrong answers since the evaluation is split, for each feature, by Kitagawa's decomposition:
more rows now come from groups that were always answered worse (mix), or groups are answered worse than they were
(rate). Two parts are attributed to the drift: the mix, and the part of the rate by which the groups that gained rows
became worse beyond the other groups. Rows in groups where nothing was evaluated (a new unit, a renamed category) count
in full: all their wrong answers are a cost of the drift.

Counts of each feature alone cannot separate two features that move together: the drift of both came with the loss.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mlops_dagster.monitoring.concept.outcomes import Answers, DayOfAnswers
from mlops_dagster.monitoring.drift.report import FeatureDrift
from mlops_dagster.monitoring.policy import ConceptPolicy, Verdict, beside
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import INDEPENDENT, Counts, Estimate, GroupSample, gained, psi_groups, rate_parts


class Harm(StrEnum):
    """The effect of a feature's drift on the rate of wrong answers."""

    CAME_WITH_LOSS = "came_with_loss"
    NO_LOSS = "no_loss"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class FeatureHarm:
    """A drifted feature, and the cost of its drift as a share of all answers, with its interval."""

    name: str
    psi: float
    moved: float
    """The growth of the share of rows, since the evaluation, in the groups that gained more than chance explains."""
    inside: Answers
    """The rows in the groups that gained."""
    outside: Answers
    evaluated_inside: Answers
    """The rows of the evaluation in the same groups."""
    evaluated_outside: Answers
    mix: Estimate | None
    """The part of the change of the error rate since the evaluation that is due to other groups of rows coming."""
    rate: Estimate | None
    """The rest of that change, due to groups being answered differently."""
    loss: float | None
    """The mix, plus the part of the rate by which the groups that gained became worse beyond the other groups."""
    low: float | None
    high: float | None
    verdict: Harm


def harm_of(
    drifted: Iterable[FeatureDrift],
    baseline: Baseline,
    days: Iterable[DayOfAnswers],
    policy: ConceptPolicy,
    bins: int = 10,
) -> tuple[FeatureHarm, ...]:
    """Return the cost in wrong answers of each feature that drifted by more than chance, in a window of days.

    The intervals of the losses hold simultaneously with 95 % confidence, at this one look; design effects are those of
    the baseline or the policy. The verdict is NO_LOSS when the whole interval, of the feature's loss or of the change
    of all answers, is under the margin; else CAME_WITH_LOSS when the whole interval is over zero. It is INCONCLUSIVE
    otherwise, without an evaluation in the baseline, and with few independent rows on either side.
    """
    moved = [each for each in drifted if each.verdict in (Verdict.MONITOR, Verdict.RETRAIN) and each.psi is not None]
    window = [day for day in days if day.overall.rows]
    return tuple(_harm(each, baseline, window, policy, 1 - 0.05 / len(moved), bins) for each in moved)


def _harm(
    drift: FeatureDrift,
    baseline: Baseline,
    days: list[DayOfAnswers],
    policy: ConceptPolicy,
    confidence: float,
    bins: int,
) -> FeatureHarm:
    groups = psi_groups(baseline.features[drift.name], bins)
    then, now = _evaluated(drift.name, baseline, groups), _answered(drift.name, days, int(groups.max()) + 1)
    psi, nobody = drift.psi or 0.0, Answers(0, 0)
    wrong = policy.design_effect(OVERALL, baseline.design_effects)
    if wrong is None or not then.any() or not now.any():
        sides = (_all(now), nobody, _all(then), nobody)
        return FeatureHarm(drift.name, psi, 0.0, *sides, None, None, None, None, None, Harm.INCONCLUSIVE)
    mix = baseline.design_effects.get(drift.name, INDEPENDENT)
    per_day = float(now[0].sum()) / len(days)
    of_group = baseline.design_effects.get(beside(drift.name), wrong)
    both = ((then, wrong.rows_per_day or per_day), (now, per_day))
    before, after = (
        GroupSample(rows.tolist(), bad.tolist(), wrong.at(day).rows, mix.at(day).rows, of_group.at(day).rows)
        for (rows, bad), day in both
    )
    more = gained(before, after)
    moved = float(now[0, more].sum() / now[0].sum() - then[0, more].sum() / then[0].sum())
    sides = (_all(now[:, more]), _all(now[:, ~more]), _all(then[:, more]), _all(then[:, ~more]))
    if min(rows.sum() / of_group.at(day).rows for (rows, _), day in both) < policy.min_rows:
        return FeatureHarm(drift.name, psi, moved, *sides, None, None, None, None, None, Harm.INCONCLUSIVE)
    found = rate_parts(before, after, confidence=confidence)
    none = min(found.shift.high, found.change.high) < policy.margin
    verdict = Harm.NO_LOSS if none else Harm.CAME_WITH_LOSS if found.shift.low > 0 else Harm.INCONCLUSIVE
    return FeatureHarm(drift.name, psi, moved, *sides, found.mix, found.rate, *found.shift, verdict)


def _all(counts: Counts) -> Answers:
    rows, wrong = counts.sum(axis=1).tolist()
    return Answers(rows, wrong)


def _evaluated(name: str, baseline: Baseline, groups: Counts) -> Counts:
    """Return the rows of the evaluation, and the wrong ones among them, by group: shape (2, groups)."""
    cells = baseline.evaluated.get(name, ((0,) * len(groups),) * 2)
    return np.array([np.bincount(groups, weights=each) for each in cells]).astype(np.int64)


def _answered(name: str, days: Iterable[DayOfAnswers], groups: int) -> Counts:
    """Return the rows of the window, and the wrong ones among them, by group: shape (2, groups)."""
    counts = np.zeros((2, groups), dtype=np.int64)
    for day in days:
        for group, part in day.groups.get(name, {}).items():
            counts[:, group] += part
    return counts
