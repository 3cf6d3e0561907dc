"""What the training data looked like: the reference that drift is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass

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
