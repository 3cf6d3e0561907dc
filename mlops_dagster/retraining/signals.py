"""The signals that may trigger a retraining, each with its numbers and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mlops_dagster.monitoring import ConceptReport, ConceptVerdict, DriftReport

Numbers: TypeAlias = Mapping[str, str]
"""The numbers of a trigger and their limits, as the run shows them."""

SHOWN = 5
"""The number of drifted features that a run shows with their numbers; the report has all."""

_SHOWN_OF_A_SLICE: Final = (
    "name",
    "rows",
    "wrong",
    "evaluated_rows",
    "evaluated_wrong",
    "limit",
    "e_value",
    "needed",
    "since",
)


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """The facts of the latest drift report that retraining needs."""

    verdict: str
    features: tuple[str, ...]
    psi: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    """The PSI above which a feature asks for retraining."""
    score: str = "inconclusive"
    """The verdict on the scores."""
    ks: float | None = None
    """The Kolmogorov-Smirnov distance of the scores."""
    why: str = ""
    """The reason why the verdict is not that of the features."""

    @classmethod
    def of(cls, report: DriftReport) -> "DriftSignal":
        """Return the part of a drift report that asks for a retraining, or does not."""
        drifted = [each for each in report.features if each.name in report.drifted]
        return cls(
            verdict=report.verdict.value,
            features=report.drifted,
            psi={each.name: each.psi for each in drifted if each.psi is not None},
            noise={each.name: each.noise for each in drifted if each.noise is not None},
            limit=report.policy.retrain,
            score=report.score.verdict.value,
            ks=None if report.score.ks is None else report.score.ks.statistic,
            why=report.reason,
        )

    @property
    def gravest(self) -> tuple[str, ...]:
        """The few features that have drifted most: a run cannot show a hundred columns."""
        return tuple(sorted(self.features, key=lambda name: -self.psi.get(name, 0.0))[:SHOWN])

    @property
    def named(self) -> str:
        """The gravest features as text, and the number of the others."""
        more = len(self.features) - SHOWN
        return ", ".join(self.gravest) + (f" and {more} more" if more > 0 else "")

    @property
    def score_numbers(self) -> str:
        """The distance of the scores, in parentheses; empty if unknown."""
        return "" if self.ks is None else f" (KS D {self.ks:.3f})"

    @property
    def numbers(self) -> Numbers:
        return {
            "drifted features": str(len(self.features)),
            **({} if self.limit is None else {"limit": f"{self.limit:.4g}"}),
            **({} if self.ks is None else {"score": self.score, "ks score": f"{self.ks:.4g}"}),
            **{f"psi {name}": f"{self.psi[name]:.4g}" for name in self.gravest if name in self.psi},
            **{f"noise {name}": f"{self.noise[name]:.4g}" for name in self.gravest if name in self.noise},
        }


@dataclass(frozen=True, slots=True)
class PerformanceSignal:
    """The reason why the champion performs too badly to stay, and the numbers."""

    reason: str
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConceptSignal:
    """The facts of the latest daily report that retraining needs: a proven loss of the champion, with its numbers."""

    drifted: bool
    reason: str
    numbers: Numbers = field(default_factory=dict)
    harm: Mapping[str, str] = field(default_factory=dict)
    """The verdict on each drifted feature's relation to wrong answers."""

    @classmethod
    def of(cls, report: ConceptReport) -> "ConceptSignal":
        """Return what a daily report says of the champion; the numbers of a collapse, else of the first drifted slice.

        A collapse and a drifted slice both ask for a retraining.
        """
        harm = {each.name: each.verdict.value for each in report.features}
        if report.verdict is ConceptVerdict.COLLAPSED:
            numbers = {name: _text(value) for name, value in report.collapse.numbers().items()}
            return cls(True, report.reason, numbers, harm)
        worst = report.drifted[0] if report.drifted else None
        numbers = {} if worst is None else {name: _text(getattr(worst, name)) for name in _SHOWN_OF_A_SLICE}
        return cls(report.verdict is ConceptVerdict.DRIFTED, report.reason, numbers, harm)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
