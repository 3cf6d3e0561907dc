"""What a drifted input has to do with wrong answers: each of its groups against itself, as it was evaluated.

The change of the rate of wrong answers since the evaluation is taken apart, for each feature, by Kitagawa's
decomposition: more rows now come from groups that were always answered worse (mix), or groups are answered worse than
they were (rate). What is put down to the drift is the mix, and that the groups which have gained rows are answered
worse than before by more than the others are. Rows in groups where nothing was evaluated (a new unit, a renamed
category) count in full: how they are answered is what their coming costs.

Two features that move together cannot be told apart by counts of each alone: the drift of both came with the loss.
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
    """What a drifted feature did to the answers."""

    CAME_WITH_LOSS = "came_with_loss"
    NO_LOSS = "no_loss"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class FeatureHarm:
    """A drifted feature, and what its drift costs: a share of all answers, with its interval."""

    name: str
    psi: float
    moved: float
    """The share of the rows by which the groups that gained, by more than chance, have more than in the evaluation."""
    inside: Answers
    """The rows in the groups that gained."""
    outside: Answers
    evaluated_inside: Answers
    """The rows of the evaluation in the same groups."""
    evaluated_outside: Answers
    mix: Estimate | None
    """Of the change of the rate of wrong answers since the evaluation: that other groups come."""
    rate: Estimate | None
    """The rest of it: that groups are answered otherwise."""
    loss: float | None
    """The mix, and what of the rate is of the groups that gained beyond what the others have lost."""
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
    """What the drift of each feature that moved by more than chance has to do with wrong answers, in a window of days.

    The intervals of the losses hold all at once with 95 % confidence at this one look; rows that share causes are worth
    what the baseline or the policy says. A drift came with no loss worth speaking of when the whole interval, of its
    loss or of the change of all answers, is under the margin; else with one when the whole interval is over zero.
    It cannot be told without an evaluation in the baseline, or with few independent rows on either side.
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
    """The rows of the evaluation, and the wrong ones of them, by group: (2, groups)."""
    cells = baseline.evaluated.get(name, ((0,) * len(groups),) * 2)
    return np.array([np.bincount(groups, weights=each) for each in cells]).astype(np.int64)


def _answered(name: str, days: Iterable[DayOfAnswers], groups: int) -> Counts:
    """The same of the window."""
    counts = np.zeros((2, groups), dtype=np.int64)
    for day in days:
        for group, part in day.groups.get(name, {}).items():
            counts[:, group] += part
    return counts
