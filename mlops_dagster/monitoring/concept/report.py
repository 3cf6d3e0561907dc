"""The concept drift report: the tests of a champion's slices, and the losses that came with drifted features."""

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum

from mlops_dagster.monitoring.concept.collapse import Collapse
from mlops_dagster.monitoring.drift.attribution import FeatureHarm


class ConceptVerdict(StrEnum):
    COLLAPSED = "collapsed"
    DRIFTED = "drifted"
    NOT_PROVEN = "not_proven"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class SliceTest:
    """The test of one slice: its error rate against the limit from its evaluation; `drifted` when e_value >= needed."""

    name: str
    rows: int
    wrong: int
    evaluated_rows: int
    evaluated_wrong: int
    rows_per_observation: float
    """The number of rows of the evaluation that are worth one independent row (the design effect)."""
    limit: float
    e_value: float
    needed: float
    since: date | None
    """The day on which a loss most likely began; None if none did."""

    @property
    def drifted(self) -> bool:
        return self.e_value >= self.needed

    @property
    def rate(self) -> float | None:
        return self.wrong / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class ConceptReport:
    """The tests of all slices of a champion, overall first, and all features that have drifted."""

    champion: str
    verdict: ConceptVerdict
    slices: tuple[SliceTest, ...]
    features: tuple[FeatureHarm, ...]
    collapse: Collapse

    @property
    def worse(self) -> bool:
        """True if the champion is found worse than its evaluation, by the e-value or by the collapse rule."""
        return self.verdict in (ConceptVerdict.COLLAPSED, ConceptVerdict.DRIFTED)

    @property
    def drifted(self) -> tuple[SliceTest, ...]:
        return tuple(each for each in self.slices if each.drifted)

    @property
    def reason(self) -> str:
        """The verdict with its numbers, in a sentence."""
        if self.verdict is ConceptVerdict.COLLAPSED:
            return self.collapse.reason
        if self.verdict is ConceptVerdict.INCONCLUSIVE:
            return (
                "the card has no evaluation, no answer has a label yet, or it is unknown what the answers of a day are "
                "worth: the baseline does from an evaluation of two days or more, or "
                "`concept.rows_per_observation` says it"
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
        """The numbers of the first drifted slice, in a sentence; empty if no slice has drifted."""
        if not self.drifted:
            return ""
        worst = self.drifted[0]
        return (
            f"{_rate(worst.wrong, worst.rows)} wrong, {worst.name}, since about {worst.since}; evaluated at "
            f"{_rate(worst.evaluated_wrong, worst.evaluated_rows)}, limit {worst.limit:.3f}; "
            f"e-value {worst.e_value:.3g}, {worst.needed:.3g} needed"
        )

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
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
        """Return a row for each slice, the slice with the most evidence first."""
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
            for each in sorted(self.slices, key=lambda each: -each.e_value / each.needed)
        ]

    def feature_table(self) -> list[dict[str, str | float]]:
        """Return a row for each drifted feature: the error rate where it gained rows, and the cost of the drift."""
        return [
            {
                "feature": each.name,
                "verdict": each.verdict.replace("_", " "),
                "costs": _between(each.loss, each.low, each.high),
                "PSI": each.psi,
                "moved": f"{each.moved:.0%}",
                "wrong where it gained": _rate(each.inside.wrong, each.inside.rows),
                "evaluated there": _rate(each.evaluated_inside.wrong, each.evaluated_inside.rows),
                "wrong elsewhere": _rate(each.outside.wrong, each.outside.rows),
                "evaluated elsewhere": _rate(each.evaluated_outside.wrong, each.evaluated_outside.rows),
                "mix": _between(*each.mix) if each.mix else "-",
                "rate": _between(*each.rate) if each.rate else "-",
            }
            for each in self.features
        ]


def _rate(wrong: int, rows: int) -> str:
    return f"{wrong / rows:.3f} of {rows:,}" if rows else "-"


def _between(value: float | None, low: float | None, high: float | None) -> str:
    return "-" if value is None else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
