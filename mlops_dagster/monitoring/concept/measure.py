"""Concept drift: does the champion answer worse than it did when it was evaluated?

A champion is looked at every day, in every slice, for as long as it lives, so a loss must be a proof that holds however
many days one looks: an e-value over the days since its promotion (`rate_change_e_value`). What it is held against is
itself an estimate, from the held-out rows of its card. Half of alpha is spent on that: the limit is the rate under
which the true one lies with that much certainty, plus the margin. The other half is spent on the e-value. Overall has
half of each, the slices share the other half (Bonferroni). So a champion that answers as it did, or worse by less than
the margin, is accused with probability alpha at most, in its whole life: as far as days are what its evaluation showed.
What was measured, and where it does not hold, is in docs/decisions/0030-what-lasts-is-no-news.md.

A day is one observation, however many answers it has: those of one day share causes (its storm, its broken feed), and
causes last. How much is what the design effect of the version's wrong answers says, by day, overall and in each slice:
from its evaluation, kept in the baseline, or as the policy has it. A slice of which that is not known is not tested.

A sudden loss of a fifth of the accuracy is found by a rule of its own (`collapse`), which needs no days of evaluation.

Labels that come late or are corrected change the counts of their day: the proof is then of what the labels say now.
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
    """Hold the answers of the champion, by day since its promotion, against the evaluation on its card.

    `effects` are the design effects of its baseline, and so are `evaluated_days`, (wrong, rows). A slice without a row,
    in the evaluation or since, or of whose wrong answers no design effect is known, is not tested, and costs the others
    nothing.
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
    """The rate of wrong answers over which a slice has become worse; with 1 or more nothing can be proven."""
    wrong = wrong_when_evaluated(part)
    return rate_upper_bound(wrong, part.rows, alpha=alpha / 2, shared=shared.of_many_blocks) + margin


def alpha_of(part: str, policy: ConceptPolicy, slices: int) -> float:
    """What of alpha a slice has: overall half of it, all the others the rest."""
    return policy.alpha / 2 if part == OVERALL else policy.alpha / 2 / slices


def _part(day: DayOfAnswers, name: str) -> Answers:
    return day.overall if name == OVERALL else day.slices.get(name, Answers(0, 0))


def _rows(answered: Iterable[Answers]) -> int:
    return sum(day.rows for day in answered)
