"""Sets of integers as runs of consecutive ones: a million integers in a row take as much memory as two."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

_NONE: Numbers = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class IntervalSet:
    """The integers first[0]..last[0], first[1]..last[1], ...: ascending, and never two runs that touch.

    >>> list(IntervalSet.of([7, 1, 2, 3, 2]))
    [(1, 3), (7, 7)]
    >>> list(IntervalSet.between(1, 10) - IntervalSet.of([1, 4, 5]))
    [(2, 3), (6, 10)]
    """

    first: Numbers = field(default_factory=lambda: _NONE)
    last: Numbers = field(default_factory=lambda: _NONE)

    @classmethod
    def of(cls, numbers: Sequence[int] | Numbers) -> "IntervalSet":
        unique = np.unique(np.asarray(numbers, dtype=np.int64))
        if not len(unique):
            return cls()
        breaks = np.flatnonzero(np.diff(unique) > 1)
        return cls(unique[np.concatenate(([0], breaks + 1))], unique[np.concatenate((breaks, [len(unique) - 1]))])

    @classmethod
    def between(cls, first: int, last: int) -> "IntervalSet":
        """Return the integers from `first` to `last`; an empty set if `last` is smaller."""
        return cls() if last < first else cls(np.array([first]), np.array([last]))

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[int]]) -> "IntervalSet":
        """Return the union of runs, given as [first, last] in any order."""
        ends = np.array([list(pair) for pair in pairs], dtype=np.int64).reshape(-1, 2)
        return _covered(ends[:, 0], ends[:, 1], at_least=1)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield from zip(self.first.tolist(), self.last.tolist(), strict=True)

    def __len__(self) -> int:
        """Return the number of integers, not of runs."""
        return int((self.last - self.first + 1).sum())

    def __or__(self, other: "IntervalSet") -> "IntervalSet":
        return _covered(np.append(self.first, other.first), np.append(self.last, other.last), at_least=1)

    def __and__(self, other: "IntervalSet") -> "IntervalSet":
        return _covered(np.append(self.first, other.first), np.append(self.last, other.last), at_least=2)

    def __sub__(self, other: "IntervalSet") -> "IntervalSet":
        if not len(self.first):
            return self
        low, high = int(self.first[0]), int(self.last[-1])
        edges_first = np.append(low, other.last + 1)
        edges_last = np.append(other.first - 1, high)
        kept = edges_first <= edges_last
        return self & IntervalSet(edges_first[kept], edges_last[kept])


def _covered(first: Numbers, last: Numbers, *, at_least: int) -> IntervalSet:
    """Return the numbers that at least `at_least` of the runs cover: of two sets, 1 gives the union, 2 the overlap."""
    points = np.concatenate((first, last + 1))
    steps = np.concatenate((np.ones_like(first), -np.ones_like(last)))
    places, index = np.unique(points, return_inverse=True)
    depth = np.cumsum(np.bincount(index, weights=steps, minlength=len(places)).astype(np.int64))
    inside = depth >= at_least
    before = np.concatenate(([False], inside[:-1]))
    return IntervalSet(places[inside & ~before], places[~inside & before] - 1)
