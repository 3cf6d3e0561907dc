"""Concept drift: does the champion answer worse than it did when it was evaluated? And which drifted input did harm?

A champion is looked at every day, in every slice, for as long as it lives, so a loss must be a proof that holds however
often one looks: an e-value over the days since its promotion (`rate_change_e_value`). What it is held against is itself
an estimate, from the held-out rows of its card. Half of alpha is spent on that: the limit is the rate under which the
true one lies with that much certainty, plus the margin. The other half is spent on the e-value. Overall has half of
each, the slices share the other half (Bonferroni). So a champion that answers as it did, or worse by less than the
margin, is accused with probability alpha at most, in its whole life.

Labels that come late or are corrected change the counts of their day: the proof is then of what the labels say now.

Whether a drifted feature came with a loss is a comparison on the rows of the window: the groups that have more of the
rows than in training, against the others. If they are answered worse, it is the moved rows times that difference that
the drift costs. If they are not, the loss has another reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from math import hypot

import numpy as np

from mlops_dagster.monitoring.answers import Answers, DayOfAnswers
from mlops_dagster.monitoring.drift import FeatureDrift
from mlops_dagster.monitoring.policy import ConceptPolicy, Verdict
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.registry.cards import OVERALL, EvaluationSlice
from mlops_dagster.statistics import Histogram, psi_groups, rate_change_e_value, rate_upper_bound, wilson_interval


class ConceptVerdict(StrEnum):
    DRIFTED = "drifted"
    NOT_PROVEN = "not_proven"
    CANNOT_TELL = "cannot_tell"


class Harm(StrEnum):
    """What a drifted feature did to the answers."""

    CAME_WITH_LOSS = "came_with_loss"
    NO_LOSS = "no_loss"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class SliceTest:
    """One slice: its rate of wrong answers against the limit from its evaluation. `drifted` when e_value >= needed."""

    name: str
    rows: int
    wrong: int
    evaluated_rows: int
    evaluated_wrong: int
    limit: float
    e_value: float
    needed: float
    since: date | None
    """The day on which a loss most likely began."""

    @property
    def drifted(self) -> bool:
        return self.e_value >= self.needed

    @property
    def rate(self) -> float | None:
        return self.wrong / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class FeatureHarm:
    """A drifted feature, and what its drift costs: a share of all answers, with its interval."""

    name: str
    psi: float
    moved: float
    """The share of the rows by which the groups that gained have more than in training."""
    inside: Answers
    """The rows in the groups that gained."""
    outside: Answers
    loss: float | None
    low: float | None
    high: float | None
    verdict: Harm


@dataclass(frozen=True, slots=True)
class ConceptReport:
    """All slices of a champion, overall first, and all features that have drifted."""

    champion: str
    verdict: ConceptVerdict
    slices: tuple[SliceTest, ...]
    features: tuple[FeatureHarm, ...]

    @property
    def drifted(self) -> tuple[SliceTest, ...]:
        return tuple(each for each in self.slices if each.drifted)

    @property
    def reason(self) -> str:
        """The verdict with its numbers, in a sentence."""
        if self.verdict is ConceptVerdict.CANNOT_TELL:
            return "the card has no evaluation, or no answer has a label yet"
        if not self.drifted:
            first = self.slices[0]
            return f"{_rate(first.wrong, first.rows)} wrong, {first.name}, is not proven over {first.limit:.3f}"
        worst = self.drifted[0]
        return (
            f"{_rate(worst.wrong, worst.rows)} wrong, {worst.name}, since about {worst.since}; evaluated at "
            f"{_rate(worst.evaluated_wrong, worst.evaluated_rows)}, limit {worst.limit:.3f}; "
            f"e-value {worst.e_value:.3g}, {worst.needed:.3g} needed"
        )

    def metadata(self) -> dict[str, object]:
        """The numbers as JSON can hold them."""
        return {
            "concept": self.verdict.value,
            "concept_reason": self.reason,
            "concept_champion": self.champion,
            "concept_slices": [
                asdict(each)
                | {"since": each.since and each.since.isoformat(), "drifted": each.drifted}
                | {"e_value": min(each.e_value, 1e300)}  # JSON has no infinity
                for each in self.slices
            ],
            "concept_features": [
                asdict(each)
                | {"verdict": each.verdict.value, "inside": list(each.inside), "outside": list(each.outside)}
                for each in self.features
            ],
        }

    def to_markdown(self) -> str:
        """For people: the slices with the most evidence first, then what the drifted inputs have to do with it."""
        lines = [
            f"**{self.verdict}**: {self.reason}",
            "",
            "| slice | wrong | evaluated | limit | e-value | needed | since |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {each.name} | {_rate(each.wrong, each.rows)} | {_rate(each.evaluated_wrong, each.evaluated_rows)} "
            f"| {each.limit:.3f} | {each.e_value:.3g} | {each.needed:.3g} | {each.since if each.drifted else ''} |"
            for each in sorted(self.slices, key=lambda each: -each.e_value / each.needed)
        ]
        if not self.features:
            return "\n".join([*lines, "", "No feature has drifted."])
        lines += [
            "",
            "| drifted feature | PSI | rows moved | wrong where it gained | wrong elsewhere | costs | |",
            "|---|---|---|---|---|---|---|",
        ]
        for harm in self.features:
            costs = "-" if harm.loss is None else f"{harm.loss:+.3f} ({harm.low:+.3f} to {harm.high:+.3f})"
            lines.append(
                f"| {harm.name} | {harm.psi:.3f} | {harm.moved:.0%} | {_rate(harm.inside.wrong, harm.inside.rows)} "
                f"| {_rate(harm.outside.wrong, harm.outside.rows)} | {costs} | {harm.verdict.replace('_', ' ')} |"
            )
        return "\n".join(lines)


def concept_drift(
    champion: str,
    evaluation: Sequence[EvaluationSlice],
    days: Mapping[date, DayOfAnswers],
    policy: ConceptPolicy,
    features: Sequence[FeatureHarm] = (),
) -> ConceptReport:
    """Hold the answers of the champion, by day since its promotion, against the evaluation on its card.

    A slice without a row, in the evaluation or since, is not tested, and costs the others nothing.
    """
    answered = {name: [_part(days[day], name) for day in sorted(days)] for name in {part.name for part in evaluation}}
    tested = [part for part in evaluation if part.rows and "accuracy" in part.metrics and _rows(answered[part.name])]
    parts = sum(part.name != OVERALL for part in evaluation)
    found = []
    for part in sorted(tested, key=lambda part: part.name != OVERALL):
        alpha = policy.alpha / 2 if part.name == OVERALL else policy.alpha / 2 / parts
        found.append(_test(part, sorted(days), answered[part.name], alpha, policy))
    drifted = any(each.drifted for each in found)
    return ConceptReport(
        champion,
        ConceptVerdict.DRIFTED if drifted else ConceptVerdict.NOT_PROVEN if found else ConceptVerdict.CANNOT_TELL,
        tuple(found),
        tuple(features),
    )


def harm_of(
    drifted: Iterable[FeatureDrift],
    baseline: Baseline,
    days: Iterable[DayOfAnswers],
    policy: ConceptPolicy,
    bins: int = 10,
) -> tuple[FeatureHarm, ...]:
    """What the drift of each feature that moved by more than chance has to do with wrong answers, in a window of days.

    The intervals hold all at once with 95 % confidence at this one look. A drift costs nothing worth speaking of when
    the whole interval is under the margin; else it came with a loss when the whole interval is over zero.
    """
    moved = [each for each in drifted if each.verdict in (Verdict.MONITOR, Verdict.RETRAIN) and each.psi is not None]
    window = list(days)
    found = []
    for each in moved:
        groups: dict[int, Answers] = {}
        for day in window:
            for group, part in day.groups.get(each.name, {}).items():
                before = groups.get(group, Answers(0, 0))
                groups[group] = Answers(before.rows + part.rows, before.wrong + part.wrong)
        found.append(_harm(each, baseline.features[each.name], groups, policy, 1 - 0.05 / len(moved), bins))
    return tuple(found)


def _test(
    part: EvaluationSlice, days: Sequence[date], answered: Sequence[Answers], alpha: float, policy: ConceptPolicy
) -> SliceTest:
    wrong = round((1 - part.metrics["accuracy"]) * part.rows)
    limit = rate_upper_bound(wrong, part.rows, alpha=alpha / 2, shared=policy.shared_by) + policy.margin
    total = Answers(sum(day.rows for day in answered), sum(day.wrong for day in answered))
    e_value, since = 1.0, None
    if limit < 1:
        blocks = [(day.wrong, day.rows) for day in answered]
        e_value, begun = rate_change_e_value(blocks, limit=limit, shared=policy.shared_by)
        since = None if begun is None else days[begun]
    return SliceTest(part.name, *total, part.rows, wrong, min(limit, 1.0), e_value, 2 / alpha, since)


def _harm(
    drift: FeatureDrift,
    reference: Histogram,
    groups: Mapping[int, Answers],
    policy: ConceptPolicy,
    confidence: float,
    bins: int,
) -> FeatureHarm:
    before = np.bincount(psi_groups(reference, bins), weights=reference.counts) / max(reference.total, 1)
    rows = sum(part.rows for part in groups.values())
    share = {group: part.rows / rows - before[group] for group, part in groups.items()}
    gained = [group for group, more in share.items() if more > 0]
    inside = Answers(sum(groups[group].rows for group in gained), sum(groups[group].wrong for group in gained))
    outside = Answers(rows, sum(part.wrong for part in groups.values())) - inside
    moved = float(sum(share[group] for group in gained))
    psi = drift.psi or 0.0
    if min(inside.rows, outside.rows) < policy.min_rows * policy.shared_by:
        return FeatureHarm(drift.name, psi, moved, inside, outside, None, None, None, Harm.CANNOT_TELL)
    difference, low, high = _difference(inside, outside, policy.shared_by, confidence)
    low, high = moved * low, moved * high
    verdict = Harm.NO_LOSS if high < policy.margin else Harm.CAME_WITH_LOSS if low > 0 else Harm.CANNOT_TELL
    return FeatureHarm(drift.name, psi, moved, inside, outside, moved * difference, low, high, verdict)


def _difference(one: Answers, other: Answers, shared: float, confidence: float) -> tuple[float, float, float]:
    """By how much more often the one is wrong, and between which values that lies.

    Source: R. G. Newcombe, Statistics in Medicine 17, 1998, method 10 (the two Wilson intervals, combined).
    """
    p, q = one.wrong / one.rows, other.wrong / other.rows
    p_low, p_high = wilson_interval(one.wrong / shared, one.rows / shared, confidence)
    q_low, q_high = wilson_interval(other.wrong / shared, other.rows / shared, confidence)
    return p - q, p - q - hypot(p - p_low, q_high - q), p - q + hypot(p_high - p, q - q_low)


def _part(day: DayOfAnswers, name: str) -> Answers:
    return day.overall if name == OVERALL else day.slices.get(name, Answers(0, 0))


def _rows(answered: Iterable[Answers]) -> int:
    return sum(day.rows for day in answered)


def _rate(wrong: int, rows: int) -> str:
    return f"{wrong / rows:.3f} of {rows:,}" if rows else "-"
