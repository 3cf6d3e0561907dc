"""The baseline: the counts of a version's training set that drift is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final, NamedTuple

import orjson

from mlops_dagster.documents.readable import reading_row
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.design_effects import design_effects_of
from mlops_dagster.registry.entities.regimes import Regimes, regimes_of
from mlops_dagster.statistics.bins.histogram import Histogram
from mlops_dagster.statistics.design_effects.design_effect import DesignEffect
from mlops_dagster.tasks.calibration import Calibration

PAIRED: Final = "paired"
"""The name, among the design effects, of the daily difference between a version and the champion of its time."""


class Evaluated(NamedTuple):
    """The evaluated rows in each cell of a feature's bins, and how many of them were answered wrong."""

    rows: tuple[int, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class Baseline:
    """Counts of every feature, of the score and of the labels, all over the same rows.

    `design_effects` are those of features, "score" and "label", as far as they were estimated; for the others, rows are
    taken as independent. Those of wrong answers are "wrong", "wrong carrier=AA" in a slice, and "wrong beside carrier"
    for the groups of a feature against each other; "paired" is that of the difference to the champion on the same rows.
    If one of these is absent, it is unknown. `evaluated` is by feature, and empty if the evaluation is unknown.
    `evaluated_days` are (wrong, rows) of each day of it that had rows, in order. `regimes` are those of features,
    "score" and "label" that changed within the training set. `calibration` holds the shares of right answers by score
    in the evaluation; None if unknown.
    """

    features: Mapping[str, Histogram]
    score: Histogram
    label: Histogram
    design_effects: Mapping[str, DesignEffect] = field(default_factory=dict)
    evaluated: Mapping[str, Evaluated] = field(default_factory=dict)
    evaluated_days: tuple[tuple[int, int], ...] = ()
    regimes: Mapping[str, Regimes] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def columns(self) -> dict[str, Histogram]:
        """The counts of every feature, and those named "score" and "label"."""
        return {**self.features, "score": self.score, "label": self.label}

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {
            "features": {name: histogram.to_json() for name, histogram in self.features.items()},
            "score": self.score.to_json(),
            "label": self.label.to_json(),
        }
        if self.design_effects:
            document["design_effects"] = {name: effect._asdict() for name, effect in self.design_effects.items()}
        if self.evaluated:
            document["evaluated"] = {name: [list(part) for part in parts] for name, parts in self.evaluated.items()}
        if self.evaluated_days:
            document["evaluated_days"] = [list(day) for day in self.evaluated_days]
        if self.regimes:
            document["regimes"] = {name: regimes.to_json() for name, regimes in self.regimes.items()}
        if self.calibration is not None:
            document["calibration"] = self.calibration.to_json()
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Baseline":
        """Return the baseline that `to_json` wrote; raises InvalidInputError."""
        match data:
            case {"features": Mapping() as features, "score": Mapping() as score, "label": Mapping() as label}:
                plain = cls(
                    features={name: Histogram.from_json(histogram) for name, histogram in features.items()},
                    score=Histogram.from_json(score),
                    label=Histogram.from_json(label),
                    design_effects=design_effects_of(data.get("design_effects", {})),
                    evaluated_days=_evaluated_days(data.get("evaluated_days", [])),
                )
                calibration = data.get("calibration")
                return replace(
                    plain,
                    evaluated=_evaluated(data.get("evaluated", {}), plain.features),
                    regimes=regimes_of(data.get("regimes", {}), plain.columns),
                    calibration=None if calibration is None else Calibration.from_json(calibration),
                )
            case _:
                raise InvalidInputError(f"not a baseline as to_json writes it: {data}")


def _evaluated(data: object, features: Mapping[str, Histogram]) -> dict[str, Evaluated]:
    match data:
        case Mapping():
            return {str(name): _cells(str(name), cells, features) for name, cells in data.items()}
        case _:
            raise InvalidInputError(f"not an evaluation as to_json writes it: {data}")


def _cells(name: str, data: object, features: Mapping[str, Histogram]) -> Evaluated:
    size = features[name].bins.size if name in features else 0
    match data:
        case [[*rows], [*wrong]] if len(rows) == len(wrong) == size:
            cells = [(n, k) for n, k in zip(rows, wrong, strict=True) if isinstance(n, int) and isinstance(k, int)]
            if len(cells) == size and all(0 <= k <= n for n, k in cells):
                return Evaluated(tuple(n for n, _ in cells), tuple(k for _, k in cells))
    raise InvalidInputError(
        f"the evaluation of a feature is its rows and the wrong ones of them, in each of its cells ({name!r} has "
        f"{size}), not {data}"
    )


def _evaluated_days(data: object) -> tuple[tuple[int, int], ...]:
    days = data if isinstance(data, list) else [data]
    found = [(day[0], day[1]) for day in days if isinstance(day, list) and list(map(type, day)) == [int, int]]
    if len(found) != len(days) or not all(0 <= wrong <= rows for wrong, rows in found):
        raise InvalidInputError(f"a day of an evaluation is [wrong, rows], with as many rows at least; not {data}")
    return tuple(found)


class StoredBaseline(Baseline):
    """A stored baseline, parsed at its first use: a list of versions does not need it.

    It equals the stored baseline. If the text is damaged, its attributes raise UnreadableError naming the version.
    """

    _text: str
    _version: str

    def __init__(self, text: str, version: str) -> None:
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_version", version)

    @cached_property
    def _read(self) -> Baseline:
        with reading_row(f"the baseline of {self._version}"):
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

    @property
    def evaluated(self) -> Mapping[str, Evaluated]:
        return self._read.evaluated

    @property
    def evaluated_days(self) -> tuple[tuple[int, int], ...]:
        return self._read.evaluated_days

    @property
    def regimes(self) -> Mapping[str, Regimes]:
        return self._read.regimes

    @property
    def calibration(self) -> Calibration | None:
        return self._read.calibration

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Baseline):
            return NotImplemented
        return _parts(self) == _parts(other)

    __hash__ = None  # type: ignore[assignment]  # as its histograms


def _parts(baseline: Baseline) -> tuple[object, ...]:
    return tuple(getattr(baseline, each.name) for each in fields(Baseline))
