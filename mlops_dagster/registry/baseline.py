"""What the training data looked like: the reference that drift is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.design_effect import DesignEffect
from mlops_dagster.statistics.histograms import Histogram


@dataclass(frozen=True)
class Baseline:
    """Counts of every feature, of the score and of the labels; all of one set of rows.

    `design_effects` are of features, "score" and "label", as far as they were estimated; of all others rows are taken
    to be independent.
    """

    features: Mapping[str, Histogram]
    score: Histogram
    label: Histogram
    design_effects: Mapping[str, DesignEffect] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {
            "features": {name: histogram.to_json() for name, histogram in self.features.items()},
            "score": self.score.to_json(),
            "label": self.label.to_json(),
        }
        if self.design_effects:
            document["design_effects"] = {name: list(effect) for name, effect in self.design_effects.items()}
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Baseline":
        """The inverse of `to_json`; raises InvalidInputError."""
        match data:
            case {"features": Mapping() as features, "score": Mapping() as score, "label": Mapping() as label}:
                histograms = {name: Histogram.from_json(histogram) for name, histogram in features.items()}
                effects = _design_effects(data.get("design_effects", {}))
                return cls(histograms, Histogram.from_json(score), Histogram.from_json(label), effects)
            case _:
                raise InvalidInputError(f"not a baseline as to_json writes it: {data}")


def _design_effects(data: object) -> dict[str, DesignEffect]:
    match data:
        case Mapping():
            return {str(name): _design_effect(effect) for name, effect in data.items()}
        case _:
            raise InvalidInputError(f"not design effects as to_json writes them: {data}")


def _design_effect(data: object) -> DesignEffect:
    match data:
        case [int() | float() as rows, int() | float() as freedom] if rows >= 1 and 0 < freedom <= 1:
            return DesignEffect(float(rows), float(freedom))
        case [rows, freedom, int() | float() | None as per_day, int() | float() | None as worst]:
            return _design_effect([rows, freedom])._replace(rows_per_day=per_day, worst_psi=worst)
        case _:
            raise InvalidInputError(
                "a design effect is [rows, at least 1; freedom, over 0 and at most 1; rows per day; worst PSI], the "
                f"last two or none, not {data}"
            )


class StoredBaseline(Baseline):
    """A baseline as it is kept, which is read when it is looked at: a list of versions looks at none.

    It equals the one that was kept. What it finds is wrong with the text, InvalidInputError says then.
    """

    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    @cached_property
    def _read(self) -> Baseline:
        return Baseline.from_json(orjson.loads(self._text))

    @property
    def features(self) -> Mapping[str, Histogram]:
        return self._read.features

    @property
    def score(self) -> Histogram:
        return self._read.score

    @property
    def label(self) -> Histogram:
        return self._read.label

    @property
    def design_effects(self) -> Mapping[str, DesignEffect]:
        return self._read.design_effects

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Baseline):
            return NotImplemented
        return _parts(self) == _parts(other)

    __hash__ = None  # type: ignore[assignment]  # as its histograms


def _parts(baseline: Baseline) -> tuple[object, ...]:
    return baseline.features, baseline.score, baseline.label, baseline.design_effects
