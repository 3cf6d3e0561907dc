"""Categorical bins: one cell for each known category."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.columns import MISSING, Column, Counts, as_objects, is_missing, tally

MOST_CATEGORIES: Final = 200
"""The largest number of categories that get their own cell in a fit."""


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """One cell for each known category, between cell 0 for the missing and a last cell for all others.

    >>> bins = CategoricalBins(categories=("EWR", "JFK"))
    >>> bins.count(["JFK", "JFK", None, "LGA"]).tolist()
    [1, 0, 2, 1]
    """

    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories):
            raise InvalidInputError(f"a category stands twice among {self.categories}")

    @property
    def size(self) -> int:
        """The number of cells, including those of the missing and of the others."""
        return len(self.categories) + 2

    @property
    def other(self) -> int:
        """The cell of unknown categories."""
        return self.size - 1

    def index(self, values: Column) -> npt.NDArray[np.intp]:
        """Return the cell of each value."""
        return self._cells(as_objects(values))

    def count(self, values: Column) -> Counts:
        """Return the number of values in each cell."""
        return self._counts(*tally(values))

    def blind_share(self, values: Column) -> float:
        """Return the share of the values, 0 to 1, in categories without a cell: changes among these stay unseen.

        >>> CategoricalBins(categories=("EWR", "JFK")).blind_share(["JFK", "LGA", "BOS", None])
        0.5
        """
        counts = self.count(values)
        return float(counts[self.other] / max(counts.sum(), 1))

    def _counts(self, distinct: list[object], times: list[int]) -> Counts:
        return np.bincount(self._cells(distinct), times, minlength=self.size).astype(np.int64)

    def _cells(self, values: list[object]) -> npt.NDArray[np.intp]:
        known: dict[object, int] = {category: cell for cell, category in enumerate(self.categories, start=MISSING + 1)}
        return np.array([known.get(value) or self._unknown(value) for value in values], dtype=np.intp)

    def _unknown(self, value: object) -> int:
        return MISSING if is_missing(value) else self.other

    @classmethod
    def fit(cls, values: Column, most: int = MOST_CATEGORIES) -> Self:
        """Return bins of the `most` most frequent categories, in alphabetical order; all others share one cell.

        >>> CategoricalBins.fit(["b", "c", "a", "b", None, "c"], most=2).categories
        ('b', 'c')
        """
        return cls.fit_and_count(values, most)[0]

    @classmethod
    def fit_and_count(cls, values: Column, most: int = MOST_CATEGORIES) -> tuple[Self, Counts]:
        """Return `fit` and `count` of the same values, in one pass over them.

        >>> bins, counts = CategoricalBins.fit_and_count(["b", "c", "a", "b", None, "c"], most=2)
        >>> bins.categories, counts.tolist()
        (('b', 'c'), [1, 2, 2, 1])
        """
        distinct, times = tally(values)
        frequencies = {value: count for value, count in zip(distinct, times, strict=True) if isinstance(value, str)}
        by_frequency = sorted(frequencies, key=lambda category: (-frequencies[category], category))
        bins = cls(categories=tuple(sorted(by_frequency[:most])))
        return bins, bins._counts(distinct, times)
