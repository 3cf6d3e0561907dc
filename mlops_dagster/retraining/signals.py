"""The signals that may trigger a retraining, each with its numbers and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Numbers: TypeAlias = Mapping[str, str]
"""The numbers of a trigger and their limits, as the run shows them."""

SHOWN = 5
"""The number of drifted features that a run shows with their numbers; the report has all."""


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
    def from_metadata(cls, metadata: Mapping[str, object]) -> "DriftSignal":
        """Return the signal in the metadata of a drift report; without a verdict it is inconclusive.

        >>> DriftSignal.from_metadata({"verdict": "retrain", "drifted": ["temp"], "psi": {"temp": 0.4}}).psi
        {'temp': 0.4}
        """
        drifted = metadata.get("drifted")
        names = drifted if isinstance(drifted, Sequence) and not isinstance(drifted, str) else ()
        features = tuple(str(name) for name in names)
        return cls(
            verdict=str(metadata.get("verdict", "inconclusive")),
            features=features,
            psi=_numbers_of(metadata.get("psi"), features),
            noise=_numbers_of(metadata.get("psi_noise"), features),
            limit=_numbers_of(metadata.get("limits"), ["psi"]).get("psi"),
            score=str(metadata.get("score_verdict", "inconclusive")),
            ks=_numbers_of(metadata, ["ks"]).get("ks"),
            why=str(metadata.get("withheld", "")),
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
    def from_metadata(cls, metadata: Mapping[str, object]) -> "ConceptSignal":
        """Return the signal in a daily report's metadata; numbers are of a collapse, else of the first drifted slice.

        >>> ConceptSignal.from_metadata({"concept": "not_proven", "concept_reason": "0.10 wrong"})
        ConceptSignal(drifted=False, reason='0.10 wrong', numbers={}, harm={})
        """
        harm = _harm_of(metadata.get("concept_features"))
        collapse = metadata.get("concept_collapse_numbers")
        if metadata.get("concept") == "collapsed" and isinstance(collapse, Mapping):
            numbers = {str(name): _text(value) for name, value in collapse.items()}
            return cls(True, str(metadata.get("concept_reason", "")), numbers, harm)
        slices = metadata.get("concept_slices")
        found = slices if isinstance(slices, Sequence) and not isinstance(slices, str) else ()
        first = next((part for part in found if isinstance(part, Mapping) and part.get("drifted")), {})
        names = ("name", "rows", "wrong", "evaluated_rows", "evaluated_wrong", "limit", "e_value", "needed", "since")
        return cls(
            drifted=metadata.get("concept") == "drifted",
            reason=str(metadata.get("concept_reason", "")),
            numbers={name: _text(first[name]) for name in names if name in first},
            harm=harm,
        )


def _harm_of(features: object) -> dict[str, str]:
    known = features if isinstance(features, Sequence) and not isinstance(features, str) else ()
    return {str(each["name"]): str(each["verdict"]) for each in known if isinstance(each, Mapping) and "name" in each}


def _numbers_of(values: object, names: Sequence[str]) -> dict[str, float]:
    known = values if isinstance(values, Mapping) else {}
    return {name: float(known[name]) for name in names if isinstance(known.get(name), int | float)}


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
