"""Comparison of champion and challenger on the same labelled rows: is one proven to be right more often?

Three claims are tested on the pairs, each at alpha, by the same e-values as in a rollout: the challenger is superior;
it is not worse by the margin; it is worse by more than the margin. The verdict is the first proven claim, worse before
the others; without one it is inconclusive, and with too few rows no claim is tested.

The verdict is that of all rows. Slices are for inspection: with many of them one stands out by chance, so in each a
claim needs as many times the e-value as there are slices, and no slice decides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from mlops_dagster.predictions import PairedCounts
from mlops_dagster.rollout.claims.shared_causes import UNKNOWN
from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import Alternative, anytime_p, metrics_from_confusion, paired_e_value

Said: TypeAlias = tuple[str, str | None, str | None]
"""(truth, champion's prediction, challenger's prediction) of a row; None: that version failed on the row."""

_FAILED = ""
"""The prediction of a version that failed: not a class, so the true class is missed and no other is predicted."""


class Standing(StrEnum):
    """The verdict on the challenger against the champion."""

    SUPERIOR = "superior"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one version on these rows, between 0 and 1; a row that it failed on counts as wrong."""

    accuracy: float
    micro_f1: float
    macro_f1: float
    failed: int


@dataclass(frozen=True, slots=True)
class Part:
    """Both versions on all rows ("overall"), or on those of a slice ("carrier=UA"). Scores are None without rows."""

    name: str
    pairs: PairedCounts
    champion: Scores | None
    challenger: Scores | None
    tests: tuple[TestResult, ...]
    verdict: Standing
    reason: str


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """The rows that were compared: those served by the split in [since, until), if they can judge both versions."""

    since: datetime
    until: datetime
    served: int
    """The number of all rows served."""
    thinned_days: int
    """The number of days with too many rows, of which only the first minutes of each hour were taken."""
    unlabelled: int
    """Of the rows taken: those without a label by `until`."""
    not_given: int
    """Of the rows taken: those served by a version that was not given every feature that both versions need."""
    compared: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger compared with a champion, with the arithmetic."""

    champion: str
    challenger: str
    sample: LabelledSample
    margin: float
    alpha: float
    min_pairs: int
    rows_per_observation: float | None
    """The number of rows that count as one, since rows of one day share causes; None if it is not known."""
    overall: Part
    slices: tuple[Part, ...]

    @property
    def verdict(self) -> Standing:
        """The verdict on all rows."""
        return self.overall.verdict

    @property
    def reason(self) -> str:
        return self.overall.reason

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        from mlops_dagster.rollout.comparison.markdown import to_markdown

        return to_markdown(self)


class Tally:
    """A counter of both versions' predictions, row by row; rows may come in pieces, and only counts are kept.

    `slices` are named as on a model card, `attribute=value`.

    >>> tally = Tally(["carrier=UA"])
    >>> tally.add(["late", "ok"], ["late", "late"], ["late", None], {"carrier": ["UA", "AA"]})
    >>> tally.overall[("ok", "late", None)], tally.of("carrier=UA").total()
    (1, 1)
    """

    def __init__(self, slices: Iterable[str] = ()) -> None:
        self.names = tuple(slices)
        self.attributes = tuple(dict.fromkeys(name.partition("=")[0] for name in self.names))
        self.overall: Counter[Said] = Counter()
        self._by_value: dict[str, defaultdict[str, Counter[Said]]] = {
            name: defaultdict(Counter) for name in self.attributes
        }

    def add(
        self,
        labels: Sequence[str],
        champion: Sequence[str | None],
        challenger: Sequence[str | None],
        attributes: Mapping[str, Sequence[object]],
    ) -> None:
        """Count more rows; `attributes` has one value a row for each attribute that is sliced by, if it is known."""
        said = list(zip(labels, champion, challenger, strict=True))
        self.overall.update(said)
        for name, counts in self._by_value.items():
            for value, row in zip(map(str, attributes.get(name, ())), said, strict=name in attributes):
                counts[value][row] += 1

    def of(self, name: str) -> Counter[Said]:
        """Return the counts of one slice."""
        attribute, _, value = name.partition("=")
        return Counter(self._by_value[attribute].get(value))


def compare(
    champion: str,
    challenger: str,
    tally: Tally,
    sample: LabelledSample,
    policy: RolloutPolicy,
    rows_per_observation: float | None,
) -> Comparison:
    """Compare the challenger with the champion; pure. Margin, alpha and least rows are those of a rollout's step.

    If the answer given influences the label, one version's answers prove nothing about the other, and the verdict is
    inconclusive. The e-values stay valid however often the comparison is repeated, as long as each repetition has the
    rows of earlier ones and more; labels are taken as they are now, so a correction recounts its row.
    """
    return Comparison(
        champion=champion,
        challenger=challenger,
        sample=sample,
        margin=policy.margin,
        alpha=policy.alpha,
        min_pairs=policy.min_step_paired,
        rows_per_observation=rows_per_observation,
        overall=_part("overall", tally.overall, policy, rows_per_observation, looked_at=1),
        slices=tuple(
            _part(name, tally.of(name), policy, rows_per_observation, looked_at=len(tally.names))
            for name in tally.names
        ),
    )


def _part(name: str, said: Counter[Said], policy: RolloutPolicy, rows: float | None, *, looked_at: int) -> Part:
    pairs = _pairs(said)
    tests = _tests(pairs, policy, rows, looked_at)
    verdict, reason = _verdict(pairs, tests, policy)
    return Part(name, pairs, _scores(said, 1), _scores(said, 2), tests, verdict, reason)


def _pairs(said: Counter[Said]) -> PairedCounts:
    wins = sum(count for (truth, old, new), count in said.items() if old != truth == new)
    losses = sum(count for (truth, old, new), count in said.items() if old == truth != new)
    return PairedCounts(wins, losses, said.total() - wins - losses)


def _scores(said: Counter[Said], whose: int) -> Scores | None:
    if not said:
        return None
    confusion: Counter[tuple[str, str]] = Counter()
    failed = 0
    for row, count in said.items():
        prediction = row[whose]
        confusion[row[0], _FAILED if prediction is None else prediction] += count
        failed += count if prediction is None else 0
    found = metrics_from_confusion(confusion)
    f1 = [scores.f1 for label, scores in found.per_class.items() if label != _FAILED]
    return Scores(found.accuracy, found.micro_f1, sum(f1) / len(f1), failed)


def _tests(pairs: PairedCounts, policy: RolloutPolicy, rows: float | None, looked_at: int) -> tuple[TestResult, ...]:
    def e_value(margin: float, alternative: Alternative) -> float:
        if rows is None:
            return 1.0
        counts = (pairs.wins, pairs.losses, pairs.ties)
        return paired_e_value(*counts, margin=margin, alternative=alternative, rows_per_observation=rows)

    margin = policy.margin
    found = {
        "paired.superior": ("accuracy over the champion's", e_value(0, "not_worse")),
        "paired.not_worse": (f"accuracy at most {margin:g} under the champion's", e_value(margin, "not_worse")),
        "paired.worse": (f"accuracy more than {margin:g} under the champion's", e_value(margin, "worse")),
    }
    limit = looked_at / policy.alpha
    observed = {"wins": pairs.wins, "losses": pairs.losses, "ties": pairs.ties, "rows_per_observation": rows or 0.0}
    return tuple(
        TestResult(
            name=name,
            claim=claim,
            observed=observed,
            e_value=e_value,
            limit=limit,
            p=anytime_p(e_value),
            verdict="inconclusive" if rows is None else "proven" if e_value >= limit else "open",
        )
        for name, (claim, e_value) in found.items()
    )


def _verdict(pairs: PairedCounts, tests: tuple[TestResult, ...], policy: RolloutPolicy) -> tuple[Standing, str]:
    if policy.answer_influences_label:
        return (
            Standing.INCONCLUSIVE,
            "the answer given influences the label, so one version's rows cannot judge another",
        )
    if pairs.total < policy.min_step_paired:
        return Standing.INCONCLUSIVE, f"{pairs.total} labelled rows, {policy.min_step_paired} are needed"
    if tests[0].verdict == "inconclusive":
        return Standing.INCONCLUSIVE, UNKNOWN.format(version="the challenger")
    proven = {test.name: test for test in tests if test.proven}
    for name, standing in (
        ("paired.worse", Standing.WORSE),
        ("paired.superior", Standing.SUPERIOR),
        ("paired.not_worse", Standing.NOT_WORSE),
    ):
        if name in proven:
            test = proven[name]
            return standing, f"proven: {test.claim} (E {test.e_value:.4g}, limit {test.limit:.4g})"
    return Standing.INCONCLUSIVE, f"nothing is proven yet on {pairs.total:,} labelled rows"
