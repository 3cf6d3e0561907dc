"""Features and scores of the rows that one arm served, counted in their bins: one column at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.predictions.encoded import PredictionEntry
from mlops_dagster.statistics import Bins, CategoricalBins, Counts, NumericBins

Value: TypeAlias = float | str | None


class Cells(NamedTuple):
    """The counts of one column in one hour."""

    hour: int
    column: str
    bins: Bins
    counts: Counts


class FeatureCounter:
    """A counter of features and scores, by hour; of each row it keeps only the columns that have bins."""

    def __init__(self, bins: Mapping[str, Bins]) -> None:
        self._bins = {name: its_bins for name, its_bins in bins.items() if name != "score"}
        self._score_bins = bins.get("score")
        self._rows: list[tuple[Value, ...]] = []
        self._hours: list[int] = []
        self._scores: list[Value] = []
        self._score_hours: list[int] = []

    def add(self, prediction: PredictionEntry, hour: int) -> None:
        """Add a row that the model was given, served in hour `hour`."""
        self._rows.append(tuple(map(prediction["features"].get, self._bins)))
        self._hours.append(hour)
        if prediction["status"] == "ok":
            self._scores.append(prediction["score"])
            self._score_hours.append(hour)

    def cells(self) -> Iterator[Cells]:
        """Yield the counts of all rows added, by column and hour."""
        hours, places = np.unique(self._hours, return_inverse=True)
        for (name, bins), values in zip(self._bins.items(), zip(*self._rows, strict=True), strict=bool(self._rows)):
            yield from _count(name, bins, values, hours, places)
        if self._score_bins is not None:
            hours, places = np.unique(self._score_hours, return_inverse=True)
            yield from _count("score", self._score_bins, self._scores, hours, places)


def _count(
    name: str, bins: Bins, values: Sequence[Value], hours: npt.NDArray[np.int64], places: npt.NDArray[np.intp]
) -> Iterator[Cells]:
    """Yield a column's counts, one hour at a time; `places` gives the index into `hours` of each value."""
    cells = places * bins.size + _index(bins, values)
    counts = np.bincount(cells, minlength=len(hours) * bins.size).reshape(len(hours), bins.size)
    for hour, of_hour in zip(hours.tolist(), counts, strict=True):
        yield Cells(hour, name, bins, of_hour)


def _index(bins: Bins, values: Sequence[Value]) -> npt.NDArray[np.intp]:
    """Return the bin of each value; a value of the wrong kind counts as missing, so that it cannot stop the rollups."""
    match bins:
        case NumericBins():
            return bins.index([value if isinstance(value, (int, float)) else None for value in values])
        case CategoricalBins():
            return bins.index([value if isinstance(value, str) else None for value in values])
