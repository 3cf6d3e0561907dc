"""Bins: how the values of one column are told apart when they are counted.

Bins are fitted once per model schema and never change, so the counts of any two versions and any two
hours have the same shape: they add up and compare.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError

Counts: TypeAlias = npt.NDArray[np.int64]
"""How many values fell into each cell."""

Column: TypeAlias = npt.ArrayLike | Sequence[float | None] | Sequence[str | None]
"""The values of one feature, score or label: numbers or strings, None and NaN where one is missing."""

MISSING: Final = 0
"""The cell of NaN and None, in every kind of bins."""

_MANY: Final = 50_000
_LARGEST: Final = int(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class NumericBins:
    """Cells on the real line: m edges make m + 1 of them, after cell 0 for the missing.

    Cell i holds edges[i - 2] <= x < edges[i - 1]. What lies outside the edges, infinities too, is in the first or
    the last cell on the line.

    >>> bins = NumericBins(edges=(0.0, 10.0))
    >>> bins.count([-5.0, 0.0, 9.9, 10.0, float("inf"), float("nan"), None]).tolist()
    [2, 1, 2, 2]
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.float64)
        if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
            raise InvalidInputError(f"the edges of bins must be finite and increase, got {self.edges}")

    @property
    def size(self) -> int:
        """The number of cells, the one of the missing included."""
        return len(self.edges) + 2

    def index(self, values: Column) -> npt.NDArray[np.intp]:
        """The cell of each value."""
        numbers = as_numbers(values)
        cells = np.searchsorted(np.asarray(self.edges, dtype=np.float64), numbers, side="right") + 1
        cells[np.isnan(numbers)] = MISSING
        return cells

    def count(self, values: Column) -> Counts:
        """How many of the values fall into each cell."""
        numbers = np.sort(as_numbers(values))  # four times faster than to look a million values up; NaN comes last
        below = np.searchsorted(numbers, [*self.edges, np.nan])
        present = below[-1]
        return np.array([len(numbers) - present, *np.diff(below, prepend=0)], dtype=np.int64)

    @classmethod
    def fit(cls, values: Column, cells: int = 200) -> Self:
        """Bins that hold about equal shares of `values`, at most `cells` on the line.

        With no more distinct values than cells, the edges lie halfway between them. A value so frequent that
        it fills cells of its own (no rain, no delay) is told from the next larger one. A constant is told from
        what is below and above it: three cells. With nothing but missing values there is one cell on the line.

        >>> NumericBins.fit([1.0, 2.0, 2.0, 4.0]).edges
        (1.5, 3.0)
        >>> NumericBins.fit(range(1000), cells=4).edges
        (249.75, 499.5, 749.25)
        >>> NumericBins.fit([None, None]).size
        2
        """
        if cells < 1:
            raise InvalidInputError(f"at least one cell is needed, got {cells}")
        numbers = as_numbers(values)
        numbers = np.sort(numbers[np.isfinite(numbers)])
        first = np.concatenate([np.ones(min(len(numbers), 1), dtype=bool), numbers[1:] != numbers[:-1]])
        distinct = numbers[first]
        if len(distinct) == 0:
            return cls(edges=())
        if len(distinct) == 1:
            return cls(edges=_strictly_increasing([distinct[0], np.nextafter(distinct[0], np.inf)]))
        if len(distinct) <= cells:
            return cls(edges=_strictly_increasing(_between(distinct[:-1], distinct[1:])))
        quantiles = _quantiles(numbers, np.arange(1, cells) / cells)
        frequent = np.unique(quantiles[1:][np.diff(quantiles) == 0])
        following = np.minimum(np.searchsorted(distinct, frequent, side="right"), len(distinct) - 1)
        return cls(edges=_strictly_increasing(np.concatenate([quantiles, distinct[following]])))


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """A cell for each known category, between cell 0 for the missing and a last one for all others.

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
        """The number of cells, those of the missing and of the others included."""
        return len(self.categories) + 2

    @property
    def other(self) -> int:
        """The cell of a category that is not known."""
        return self.size - 1

    def index(self, values: Column) -> npt.NDArray[np.intp]:
        """The cell of each value."""
        return self._cells(as_objects(values))

    def count(self, values: Column) -> Counts:
        """How many of the values fall into each cell."""
        times = _times(values)
        return np.bincount(self._cells(times), list(times.values()), minlength=self.size).astype(np.int64)

    def _cells(self, values: Iterable[object]) -> npt.NDArray[np.intp]:
        known: dict[object, int] = {category: cell for cell, category in enumerate(self.categories, start=MISSING + 1)}
        return np.array([known.get(value) or self._unknown(value) for value in values], dtype=np.intp)

    def _unknown(self, value: object) -> int:
        return MISSING if is_missing(value) else self.other

    @classmethod
    def fit(cls, values: Column, most: int = 200) -> Self:
        """The `most` most frequent categories, in alphabetical order; the rest counts as other.

        >>> CategoricalBins.fit(["b", "c", "a", "b", None, "c"], most=2).categories
        ('b', 'c')
        """
        frequencies = {value: times for value, times in _times(values).items() if isinstance(value, str)}
        by_frequency = sorted(frequencies, key=lambda category: (-frequencies[category], category))
        return cls(categories=tuple(sorted(by_frequency[:most])))


Bins: TypeAlias = NumericBins | CategoricalBins


def bins_to_json(bins: Bins) -> dict[str, object]:
    """The bins as JSON can hold them; floats keep every bit.

    >>> bins_to_json(NumericBins(edges=(0.5,)))
    {'kind': 'numeric', 'edges': [0.5]}
    """
    if isinstance(bins, NumericBins):
        return {"kind": "numeric", "edges": list(bins.edges)}
    return {"kind": "categorical", "categories": list(bins.categories)}


def bins_from_json(document: Mapping[str, object]) -> Bins:
    """The inverse of `bins_to_json`; raises InvalidInputError for anything else."""
    match document:
        case {"kind": "numeric", "edges": [*edges]}:
            return NumericBins(edges=tuple(np.asarray(edges, dtype=np.float64).tolist()))
        case {"kind": "categorical", "categories": [*categories]}:
            return CategoricalBins(categories=tuple(str(category) for category in categories))
        case _:
            raise InvalidInputError(f"these are not bins as bins_to_json writes them: {document}")


def as_numbers(values: Column) -> npt.NDArray[np.float64]:
    """The values as a flat float64 array, what is missing as NaN; raises InvalidInputError when they are not numbers.

    Booleans are 0 and 1, arrays of dates (datetime64) the nanoseconds since 1970; an integer that no float64 can hold
    is infinite.

    >>> as_numbers([True, None, 7, -(10**400)]).tolist()
    [1.0, nan, 7.0, -inf]
    >>> as_numbers(np.array(["1970-01-01T00:00:01", "NaT"], dtype="datetime64[s]")).tolist()
    [1000000000.0, nan]
    """
    try:
        kind = getattr(getattr(values, "dtype", None), "kind", None)
        if kind is not None and kind in "mM":
            times = np.asarray(values, dtype=f"{kind}8[ns]").reshape(-1)
            return np.where(np.isnat(times), np.nan, times.astype(np.float64))
        return np.asarray(values, dtype=np.float64).reshape(-1)
    except OverflowError:
        return np.array([_as_number(value) for value in as_objects(values)], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"a numeric column holds something that is no number: {error}") from error


def _as_number(value: object) -> object:
    if isinstance(value, int) and abs(value) > _LARGEST:
        return math.inf if value > 0 else -math.inf
    return value


def as_objects(values: Column) -> list[object]:
    """The values as a flat list of Python objects."""
    objects: list[object] = np.asarray(values, dtype=object).reshape(-1).tolist()
    return objects


def _times(values: Column) -> Mapping[object, int]:
    """How often each value is there."""
    objects = np.asarray(values, dtype=object).reshape(-1)
    if len(objects) < _MANY:
        return Counter(objects.tolist())
    import pandas as pd  # whose hash table takes a quarter of the time, and whose import more than a second

    found = pd.Series(objects).value_counts(dropna=False, sort=False)
    return dict(zip(found.index.tolist(), found.tolist(), strict=True))


def is_missing(value: object) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA.

    >>> [is_missing(value) for value in (None, float("nan"), "", 0)]
    [True, True, False, False]
    """
    if value is None:
        return True
    try:
        return bool(value != value)  # NaN is what differs from itself
    except TypeError:
        return True  # pandas.NA has no truth value


def _between(lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A number above each `lower` and not above its `upper`: halfway, where floats leave room."""
    halfway = lower / 2 + upper / 2
    return np.where((lower < halfway) & (halfway <= upper), halfway, upper)


def _quantiles(ordered: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`np.quantile` of what is sorted already: it would sort again."""
    at = (len(ordered) - 1) * shares
    below = np.floor(at).astype(np.intp)
    lower, upper = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    part = at - below
    return lower * (1 - part) + upper * part  # the difference of two large numbers could be infinite


def _strictly_increasing(edges: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(np.unique(np.asarray(edges, dtype=np.float64)).tolist())
