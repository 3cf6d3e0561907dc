"""Histograms: bins with their counts, the form in which all operational data is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.bins import Bins, bins_from_json, bins_to_json
from mlops_dagster.statistics.bins.columns import Column, Counts


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts over bins. Histograms over the same bins can be added, to merge replicas, versions and hours.

    The counts are copied and read-only; there is one for each cell, and none is negative.

    >>> from mlops_dagster.statistics import NumericBins
    >>> bins = NumericBins(edges=(0.0, 10.0))
    >>> morning, evening = Histogram.of(bins, [1.0, 20.0]), Histogram.of(bins, [None])
    >>> (morning + evening).counts.tolist()
    [1, 0, 1, 1]
    >>> (morning + evening).total
    3
    """

    bins: Bins
    counts: Counts

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64)
        if counts.shape != (self.bins.size,):
            raise InvalidInputError(f"bins of {self.bins.size} cells need as many counts, got shape {counts.shape}")
        if (counts < 0).any():
            raise InvalidInputError(f"counts cannot be negative, got {counts.min()}")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    @classmethod
    def of(cls, bins: Bins, values: Column) -> Self:
        """Return the histogram of the values."""
        return cls(bins, bins.count(values))

    @cached_property
    def total(self) -> int:
        """The number of counted values, including the missing."""
        return int(self.counts.sum())

    def __add__(self, other: "Histogram") -> "Histogram":
        if self.bins != other.bins:
            raise InvalidInputError("histograms over different bins do not add up; count both over the same bins")
        return Histogram(self.bins, self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.bins == other.bins and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # a histogram holds an array, so it can be compared but not hashed

    def to_json(self) -> dict[str, object]:
        """Return the histogram as JSON can hold it."""
        return {"bins": bins_to_json(self.bins), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Self:
        """Return the histogram that `to_json` wrote; raises InvalidInputError for anything else."""
        match document:
            case {"bins": Mapping() as bins, "counts": [*counts]} if all(type(count) is int for count in counts):
                try:
                    return cls(bins_from_json(bins), np.asarray(counts, dtype=np.int64))
                except OverflowError:
                    pass
        raise InvalidInputError(f"this is not a histogram as to_json writes it: {document!r:.300}")
