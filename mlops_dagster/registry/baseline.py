"""What the training data looked like: the reference that drift is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import orjson

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.histograms import Histogram


@dataclass(frozen=True)
class Baseline:
    """Counts of every feature, of the score and of the labels; all of one set of rows."""

    features: Mapping[str, Histogram]
    score: Histogram
    label: Histogram

    def to_json(self) -> dict[str, object]:
        return {
            "features": {name: histogram.to_json() for name, histogram in self.features.items()},
            "score": self.score.to_json(),
            "label": self.label.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Baseline":
        """The inverse of `to_json`; raises InvalidInputError."""
        match data:
            case {"features": Mapping() as features, "score": Mapping() as score, "label": Mapping() as label}:
                histograms = {name: Histogram.from_json(histogram) for name, histogram in features.items()}
                return cls(histograms, Histogram.from_json(score), Histogram.from_json(label))
            case _:
                raise InvalidInputError(f"not a baseline as to_json writes it: {data}")


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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Baseline):
            return NotImplemented
        return (self.features, self.score, self.label) == (other.features, other.score, other.label)

    __hash__ = None  # type: ignore[assignment]  # as its histograms
