"""The test of concept drift: does the champion answer worse than it did when it was evaluated?

A champion is tested every day, in every slice, for as long as it is champion, so the proof of a loss must hold however
often one looks: it is an e-value over the days since the promotion (`rate_change_e_value`). The rate it is compared
with is itself an estimate, from the held-out rows of the champion's card. Half of alpha is spent on that estimate: the
limit is the upper confidence bound of the evaluated rate of wrong answers, plus the margin. The other half of alpha is
spent on the e-value. The overall test has half of each, and the slices share the other half (Bonferroni). So a champion
that answers as well as before, or worse by less than the margin, is falsely reported with probability alpha at most, in
its whole life, as long as days vary as they did in its evaluation. The measurements, and the cases where this does not
hold, are in docs/decisions/0030-what-lasts-is-no-news.md.

A day is one observation, however many answers it has: the answers of one day share causes (a storm, a broken feed),
and causes last. The design effect of the version's wrong answers measures this dependence, by day, overall and in each
slice: it comes from the evaluation, kept in the baseline, or from the policy. A slice without a known design effect is
not tested.

A sudden loss of a fifth of the accuracy is found by a separate rule (`collapse`), which needs no days of evaluation.

Labels that come late or are corrected change the counts of their day: the proof then rests on the current labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from mlops_dagster.monitoring.concept.collapse import Collapse, CollapseVerdict, collapse
from mlops_dagster.monitoring.concept.outcomes import Answers, DayOfAnswers
from mlops_dagster.monitoring.concept.report import ConceptReport, ConceptVerdict, SliceTest
from mlops_dagster.monitoring.drift.attribution import FeatureHarm
from mlops_dagster.monitoring.policy import ConceptPolicy
from mlops_dagster.registry.cards import OVERALL, EvaluationSlice
from mlops_dagster.statistics import (
    DesignEffect,
    rate_change_e_value,
    rate_upper_bound,
)


def concept_drift(
    champion: str,
    evaluation: Sequence[EvaluationSlice],
    days: Mapping[date, DayOfAnswers],
    policy: ConceptPolicy,
    effects: Mapping[str, DesignEffect],
    features: Sequence[FeatureHarm] = (),
    *,
    evaluated_days: Sequence[tuple[int, int]] = (),
) -> ConceptReport:
    """Test the answers of the champion, by day since its promotion, against the evaluation on its card.

    `effects` are the design effects of the champion's baseline, and `evaluated_days` are (wrong, rows) of the days in
    it. A slice is not tested, and costs the other slices nothing, if it has no row in the evaluation or since, or if no
    design effect of its wrong answers is known.
    """
    answered = {name: [_part(days[day], name) for day in sorted(days)] for name in {part.name for part in evaluation}}
    tested = [part for part in evaluation if part.rows and "accuracy" in part.metrics and _rows(answered[part.name])]
    parts = sum(part.name != OVERALL for part in evaluation)
    found = []
    for part in sorted(tested, key=lambda part: part.name != OVERALL):
        alpha = alpha_of(part.name, policy, parts)
        shared = policy.design_effect(part.name, effects)
        if shared is not None:
            found.append(_test(part, sorted(days), answered[part.name], alpha, policy.margin, shared))
    overall = next((part for part in evaluation if part.name == OVERALL), None)
    collapsed = collapse(overall, evaluated_days, days)
    return ConceptReport(champion, _verdict(found, collapsed), tuple(found), tuple(features), collapsed)


def _verdict(found: Sequence[SliceTest], collapsed: Collapse) -> ConceptVerdict:
    if collapsed.verdict is CollapseVerdict.COLLAPSED:
        return ConceptVerdict.COLLAPSED
    if any(each.drifted for each in found):
        return ConceptVerdict.DRIFTED
    return ConceptVerdict.NOT_PROVEN if found else ConceptVerdict.INCONCLUSIVE


def _test(
    part: EvaluationSlice,
    days: Sequence[date],
    answered: Sequence[Answers],
    alpha: float,
    margin: float,
    shared: DesignEffect,
) -> SliceTest:
    wrong = wrong_when_evaluated(part)
    limit = limit_of(part, alpha, margin, shared)
    total = Answers(sum(day.rows for day in answered), sum(day.wrong for day in answered))
    e_value, since = 1.0, None
    if limit < 1:
        blocks = [(day.wrong, day.rows) for day in answered]
        e_value, begun = rate_change_e_value(blocks, limit=limit, shared=shared)
        since = None if begun is None else days[begun]
    return SliceTest(part.name, *total, part.rows, wrong, shared.rows, min(limit, 1.0), e_value, 2 / alpha, since)


def wrong_when_evaluated(part: EvaluationSlice) -> int:
    return round((1 - part.metrics["accuracy"]) * part.rows)


def limit_of(part: EvaluationSlice, alpha: float, margin: float, shared: DesignEffect) -> float:
    """Return the rate of wrong answers above which a slice has become worse; at 1 or more nothing can be proven."""
    wrong = wrong_when_evaluated(part)
    return rate_upper_bound(wrong, part.rows, alpha=alpha / 2, shared=shared.of_many_blocks) + margin


def alpha_of(part: str, policy: ConceptPolicy, slices: int) -> float:
    """Return the part of alpha that a slice has: overall half of it, all other slices together the rest."""
    return policy.alpha / 2 if part == OVERALL else policy.alpha / 2 / slices


def _part(day: DayOfAnswers, name: str) -> Answers:
    return day.overall if name == OVERALL else day.slices.get(name, Answers(0, 0))


def _rows(answered: Iterable[Answers]) -> int:
    return sum(day.rows for day in answered)
