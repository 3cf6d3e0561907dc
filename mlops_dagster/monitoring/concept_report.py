"""What a concept drift report says: of each slice of a champion, and of each feature that has drifted."""

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum

from mlops_dagster.monitoring.collapse import Collapse, CollapseVerdict
from mlops_dagster.monitoring.harm import FeatureHarm


class ConceptVerdict(StrEnum):
    COLLAPSED = "collapsed"
    DRIFTED = "drifted"
    NOT_PROVEN = "not_proven"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class SliceTest:
    """One slice: its rate of wrong answers against the limit from its evaluation. `drifted` when e_value >= needed."""

    name: str
    rows: int
    wrong: int
    evaluated_rows: int
    evaluated_wrong: int
    shared_by: float
    """Wrong answers of the evaluation that are worth one."""
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
class ConceptReport:
    """All slices of a champion, overall first, and all features that have drifted."""

    champion: str
    verdict: ConceptVerdict
    slices: tuple[SliceTest, ...]
    features: tuple[FeatureHarm, ...]
    collapse: Collapse

    @property
    def worse(self) -> bool:
        """Whether the champion is found worse than its evaluation, by either rule."""
        return self.verdict in (ConceptVerdict.COLLAPSED, ConceptVerdict.DRIFTED)

    @property
    def drifted(self) -> tuple[SliceTest, ...]:
        return tuple(each for each in self.slices if each.drifted)

    @property
    def reason(self) -> str:
        """The verdict with its numbers, in a sentence."""
        if self.verdict is ConceptVerdict.COLLAPSED:
            return self.collapse.reason
        if self.verdict is ConceptVerdict.CANNOT_TELL:
            return (
                "the card has no evaluation, no answer has a label yet, or nobody knows what the answers of a day are "
                "worth: the baseline does from an evaluation of two days or more, or `concept.shared_by` says it"
            )
        if not self.drifted:
            first = self.slices[0]
            if first.limit >= 1:
                return (
                    f"nothing can be proven of {first.name}: {_rate(first.wrong, first.rows)} wrong, and the limit is 1"
                )
            return f"{_rate(first.wrong, first.rows)} wrong, {first.name}, is not proven over {first.limit:.3f}"
        return self.drift_reason

    @property
    def drift_reason(self) -> str:
        """Of what has drifted, the numbers of the first; empty where nothing has."""
        if not self.drifted:
            return ""
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
            "concept_collapse": self.collapse.verdict.value,
            "concept_collapse_reason": self.collapse.reason,
            "concept_collapse_numbers": self.collapse.numbers(),
            "concept_slices": [
                asdict(each)
                | {"since": each.since and each.since.isoformat(), "drifted": each.drifted}
                | {"e_value": min(each.e_value, 1e300)}  # JSON has no infinity
                for each in self.slices
            ],
            "concept_features": [
                asdict(each)
                | {"verdict": each.verdict.value}
                | {
                    side: list(getattr(each, side))
                    for side in ("inside", "outside", "evaluated_inside", "evaluated_outside")
                }
                | {part: list(found) for part, found in (("mix", each.mix), ("rate", each.rate)) if found is not None}
                for each in self.features
            ],
        }

    def table(self) -> list[dict[str, str | float]]:
        """A row for each slice, the one with the most evidence first."""
        return [
            {
                "slice": each.name,
                "wrong": _rate(each.wrong, each.rows),
                "evaluated": _rate(each.evaluated_wrong, each.evaluated_rows),
                "limit": round(each.limit, 3),
                "e-value": min(each.e_value, 1e300),  # JSON has no infinity
                "needed": each.needed,
                "since": str(each.since) if each.drifted else "",
            }
            for each in self._by_evidence()
        ]

    def _by_evidence(self) -> list[SliceTest]:
        return sorted(self.slices, key=lambda each: -each.e_value / each.needed)

    def to_markdown(self) -> str:
        """For people: the slices with the most evidence first, then what the drifted inputs have to do with it."""
        lines = [
            f"**{self.verdict}**: {self.reason}",
            "",
            *([] if self.verdict is ConceptVerdict.COLLAPSED else [self._collapse_line(), ""]),
            "| slice | wrong | evaluated | limit | e-value | needed | since |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {each.name} | {_rate(each.wrong, each.rows)} | {_rate(each.evaluated_wrong, each.evaluated_rows)} "
            f"| {each.limit:.3f} | {each.e_value:.3g} | {each.needed:.3g} | {each.since if each.drifted else ''} |"
            for each in self._by_evidence()
        ]
        if not self.features:
            return "\n".join([*lines, "", "No feature has drifted."])
        lines += [
            "",
            "| drifted | PSI | moved | wrong where it gained | then | wrong elsewhere | then | mix | rate | costs | |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for harm in self.features:
            sides = (harm.inside, harm.evaluated_inside, harm.outside, harm.evaluated_outside)
            shown = (harm.mix, harm.rate, None if harm.loss is None else (harm.loss, harm.low, harm.high))
            parts = ("-" if part is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*part) for part in shown)
            cells = (f"{harm.psi:.3f}", f"{harm.moved:.0%}", *(_rate(side.wrong, side.rows) for side in sides), *parts)
            lines.append(f"| {harm.name} | {' | '.join(cells)} | {harm.verdict.replace('_', ' ')} |")
        return "\n".join(lines)

    def _collapse_line(self) -> str:
        """What the rule of a collapse says, where that is no collapse."""
        known = {CollapseVerdict.HOLDS: "no", CollapseVerdict.SUSPECTED: "suspected"}
        said = known.get(self.collapse.verdict, "cannot tell")
        return f"Loss of a fifth of the accuracy: {said}. {self.collapse.reason}"


def _rate(wrong: int, rows: int) -> str:
    return f"{wrong / rows:.3f} of {rows:,}" if rows else "-"
