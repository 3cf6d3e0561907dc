"""Comparison of champion and challenger on the same labelled rows: is one proven to be right more often?

Three claims are tested on the pairs, each at alpha, by the same e-values as in a rollout: the challenger is superior;
it is not worse by the margin; it is worse by more than the margin. The verdict is the first proven claim, worse before
the others; without one it is inconclusive, and with too few rows no claim is tested.

The verdict is that of all rows. Slices are for inspection: with many of them one stands out by chance, so in each a
claim needs as many times the e-value as there are slices, and no slice decides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from mlops_dagster.predictions import PairedCounts
from mlops_dagster.rollout.claims.shared_causes import UNKNOWN
from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import Alternative, anytime_p, difference_e_value
from mlops_dagster.tasks import UNKNOWN_TASK, Measure, Task

Said: TypeAlias = tuple[str, str | None, str | None]
"""(truth, champion's prediction, challenger's prediction) of a row; None: that version failed on the row."""


class Standing(StrEnum):
    """The verdict on the challenger against the champion."""

    SUPERIOR = "superior"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Scores:
    """The quality measures of one version on these rows, by name; a row that it failed on has a loss of 1."""

    measures: Mapping[str, Measure]
    failed: int

    def value(self, measure: str) -> float:
        """Return the value of a measure."""
        return self.measures[measure].value


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
    merit: str = UNKNOWN_TASK.merit
    """The name of 1 - mean loss, which is compared."""
    headline: str = UNKNOWN_TASK.headline
    """The measure that is held to the floor."""
    headings: Mapping[str, str] = field(default_factory=lambda: UNKNOWN_TASK.headings)
    """The measures that tables show, with their headings."""

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
    task: Task = UNKNOWN_TASK,
) -> Comparison:
    """Compare the challenger with the champion by the losses of `task`; pure.

    Margin, alpha and least rows are those of a rollout's step.

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
        overall=_part("overall", tally.overall, task, policy, rows_per_observation, looked_at=1),
        slices=tuple(
            _part(name, tally.of(name), task, policy, rows_per_observation, looked_at=len(tally.names))
            for name in tally.names
        ),
        merit=task.merit,
        headline=task.headline,
        headings=task.headings,
    )


def _part(
    name: str, said: Counter[Said], task: Task, policy: RolloutPolicy, rows: float | None, *, looked_at: int
) -> Part:
    gains = _gains(said, task)
    pairs = _pairs(gains)
    tests = _tests(gains, pairs, task.merit, policy, rows, looked_at)
    verdict, reason = _verdict(pairs, tests, policy)
    return Part(name, pairs, _scores(said, 1, task), _scores(said, 2, task), tests, verdict, reason)


def _gains(said: Counter[Said], task: Task) -> Counter[float]:
    """Return how many rows have each difference of the losses, the champion's minus the challenger's."""
    truths, champion, challenger = zip(*said, strict=True) if said else ((), (), ())
    gains: Counter[float] = Counter()
    differences = task.losses(champion, truths) - task.losses(challenger, truths)
    for gain, rows in zip(differences.tolist(), said.values(), strict=True):
        gains[gain] += rows
    return gains


def _pairs(gains: Counter[float]) -> PairedCounts:
    """Return the rows on which the challenger's loss is less than the champion's, more, and the same."""
    wins = sum(rows for gain, rows in gains.items() if gain > 0)
    losses = sum(rows for gain, rows in gains.items() if gain < 0)
    return PairedCounts(wins, losses, gains.total() - wins - losses)


def _scores(said: Counter[Said], whose: int, task: Task) -> Scores | None:
    if not said:
        return None
    truths, *both = zip(*said, strict=True)
    failed = sum(count for row, count in said.items() if row[whose] is None)
    return Scores(task.measures(task.sums(truths, both[whose - 1], list(said.values())), intervals=False), failed)


def _tests(
    gains: Counter[float], pairs: PairedCounts, merit: str, policy: RolloutPolicy, rows: float | None, looked_at: int
) -> tuple[TestResult, ...]:
    cells = [(-gain, gains[gain]) for gain in sorted(gains, key=lambda gain: (-abs(gain), -gain))]

    def e_value(margin: float, alternative: Alternative) -> float:
        if rows is None:
            return 1.0
        return difference_e_value(cells, margin=margin, alternative=alternative, rows_per_observation=rows)

    margin = policy.margin
    found = {
        "paired.superior": (f"{merit} over the champion's", e_value(0, "not_worse")),
        "paired.not_worse": (f"{merit} at most {margin:g} under the champion's", e_value(margin, "not_worse")),
        "paired.worse": (f"{merit} more than {margin:g} under the champion's", e_value(margin, "worse")),
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
