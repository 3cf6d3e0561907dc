"""Numeric bins: cells on the real line."""

import math
import sys
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.columns import MISSING, Column, Counts, as_numbers
from mlops_dagster.statistics.bins.counting import count_below

_Numbers: TypeAlias = npt.NDArray[np.float64]

_LARGEST: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class NumericBins:
    """Cells on the real line: m edges make m + 1 cells, after cell 0 for the missing.

    Cell i holds edges[i - 2] <= x < edges[i - 1]. Values outside the edges, also infinities, are in the first or the
    last cell of the line.

    >>> bins = NumericBins(edges=(0.0, 10.0))
    >>> bins.count([-5.0, 0.0, 9.9, 10.0, float("inf"), float("nan"), None]).tolist()
    [2, 1, 2, 2]
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.float64)
        if not np.isfinite(edges).all() or (edges[1:] <= edges[:-1]).any():
            raise InvalidInputError(f"the edges of bins must be finite and increase, got {self.edges}")

    @property
    def size(self) -> int:
        """The number of cells, including that of the missing."""
        return len(self.edges) + 2

    def index(self, values: Column) -> npt.NDArray[np.intp]:
        """Return the cell of each value."""
        numbers = as_numbers(values)
        cells = np.searchsorted(np.asarray(self.edges, dtype=np.float64), numbers, side="right") + 1
        cells[np.isnan(numbers)] = MISSING
        return cells

    def count(self, values: Column) -> Counts:
        """Return the number of values in each cell."""
        numbers = as_numbers(values)
        absent = np.isnan(numbers)
        missing = int(np.count_nonzero(absent))
        below = count_below(np.asarray(self.edges, dtype=np.float64), numbers[~absent] if missing else numbers)
        return _counts(below, len(numbers), missing)

    def blind_share(self, values: Column) -> float:
        """Return the largest share of the values, 0 to 1, that differ within one cell: changes there stay unseen.

        The most frequent value of a cell does not count, as its repeats are known to be equal; but in the two outermost
        cells, which are unbounded, it does.

        >>> NumericBins(edges=(0.0, 1.0, 9.0)).blind_share([0.0, 0.0, 5.0, 6.0, 7.0])
        0.4
        >>> NumericBins(edges=(0.0, 1.0)).blind_share([0.0, 0.0, 5.0, 5.0, 5.0])
        0.6
        """
        numbers = as_numbers(values)
        ordered = np.sort(numbers[~np.isnan(numbers)])
        ends = np.concatenate([[0], np.searchsorted(ordered, self.edges), [len(ordered)]])
        sizes = np.diff(ends)
        blind = 0
        for cell in np.argsort(-sizes):
            if sizes[cell] <= blind:
                break
            held = ordered[ends[cell] : ends[cell + 1]]
            changes = np.flatnonzero(held[1:] != held[:-1]) + 1
            repeats = np.diff(changes, prepend=0, append=len(held)).max() if 0 < cell < len(sizes) - 1 else 0
            blind = max(blind, int(sizes[cell] - repeats))
        return blind / max(len(numbers), 1)

    @classmethod
    def fit(cls, values: Column, cells: int = 200) -> Self:
        """Return bins with about equal shares of `values`, at most `cells` on the line.

        If there are no more distinct values than cells, each value has its own cell, with the edges halfway between
        them, and two more cells are for values below and above all: a flag that was 0 or 1 and is 5 now is seen as new.
        A value so frequent that it fills whole cells (no rain, no delay) is separated from larger ones. Infinities are
        outside the edges, however many they are. If all values are missing, there is one cell on the line.

        >>> NumericBins.fit([1.0, 2.0, 2.0, 4.0]).edges
        (0.5, 1.5, 3.0, 5.0)
        >>> NumericBins.fit(range(1000), cells=4).edges
        (249.75, 499.5, 749.25)
        >>> NumericBins.fit([None, None]).size
        2
        """
        return cls.fit_and_count(values, cells)[0]

    @classmethod
    def fit_and_count(cls, values: Column, cells: int = 200) -> tuple[Self, Counts]:
        """Return `fit` and `count` of the same values, sorting them once.

        >>> bins, counts = NumericBins.fit_and_count([1.0, 2.0, 2.0, 4.0, None])
        >>> bins.edges, counts.tolist()
        ((0.5, 1.5, 3.0, 5.0), [1, 0, 1, 2, 1, 0])
        """
        if cells < 1:
            raise InvalidInputError(f"at least one cell is needed, got {cells}")
        ordered = np.sort(as_numbers(values))
        first, last, present = np.searchsorted(ordered, [np.nextafter(-np.inf, 0), np.inf, np.nan])
        edges = np.unique(_edges(ordered[first:last], cells))
        if first == last and present:  # infinities only
            edges = np.array([-_LARGEST, _LARGEST])
        below = np.searchsorted(ordered, edges)
        return cls(edges=tuple(edges.tolist())), _counts(below, len(ordered), len(ordered) - int(present))


def _counts(below: npt.NDArray[np.integer], rows: int, missing: int) -> Counts:
    """Return the count of each cell, given how many numbers are below each edge."""
    return np.concatenate([[missing], np.diff(below, prepend=0, append=rows - missing)]).astype(np.int64)


def _edges(ordered: _Numbers, cells: int) -> _Numbers:
    """Return the edges of `fit` for sorted finite numbers; an edge may occur twice."""
    rises = ordered[1:] != ordered[:-1]
    if len(ordered) == 0:
        return ordered
    if np.count_nonzero(rises) < cells:
        return _around(ordered[np.append(True, rises)])
    quantiles = _quantiles(ordered, np.arange(1, cells) / cells)
    frequent = np.unique(quantiles[1:][np.diff(quantiles) == 0])
    beyond = min(math.nextafter(ordered[-1], math.inf), _LARGEST)
    following = np.append(ordered, beyond)[np.searchsorted(ordered, frequent, side="right")]
    return np.concatenate([quantiles, following])


def _around(distinct: _Numbers) -> _Numbers:
    """Return edges that give each of the sorted numbers its own cell, and one cell to either side of them all."""
    first, second = distinct[:2][[0, -1]].tolist()
    last_but_one, last = distinct[-2:][[0, -1]].tolist()
    below = first - (second / 2 - first / 2)
    above = max(last + (last / 2 - last_but_one / 2), math.nextafter(last, math.inf))
    between = _between(distinct[:-1], distinct[1:])
    return np.concatenate([[max(below, -_LARGEST)], between, [min(above, _LARGEST)]])


def _between(lower: _Numbers, upper: _Numbers) -> _Numbers:
    """Return a number above each `lower` and not above its `upper`: halfway, if there is a float between."""
    halfway = lower / 2 + upper / 2
    return np.where((lower < halfway) & (halfway <= upper), halfway, upper)


def _quantiles(ordered: _Numbers, shares: _Numbers) -> _Numbers:
    """Return `np.quantile` of sorted numbers, without sorting them again."""
    at = (len(ordered) - 1) * shares
    below = np.floor(at).astype(np.intp)
    lower, upper = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    part = at - below
    return lower * (1 - part) + upper * part  # not lower + part * (upper - lower): that difference could be infinite
