"""The uncertainty of a macro-F1."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.metrics.classification import ClassificationMetrics, metrics_from_confusion

DRAWS = 1000
SEED = 0
_STICKS = 48
"""The rest of a stick after this many breaks is below float precision: 2^-48 on average."""
_FLOATS = 4_000_000
"""The largest number of floats in memory at a time: 32 MB."""


def macro_f1_interval(
    confusion: Mapping[tuple[str, str], int],
    confidence: float = 0.95,
    *,
    classes: Collection[str] | None = None,
) -> tuple[float, float] | None:
    """Return the interval of the macro-F1 that produced these counts of (true, predicted) pairs; None for one class.

    With K classes seen, the shares of the K * K pairs are Dirichlet(count + 1 / K^2): the counts, and one more row
    spread over all pairs, so that errors that were not seen stay possible. The interval holds the middle `confidence`
    of the macro-F1 of 1,000 draws, and the macro-F1 of the counts themselves; it lies in [0, 1]. The draws are seeded:
    equal counts give an equal interval. None if only one class was seen, as the others are unknown. The mean is over
    the `classes` of the model, if known, like that of `metrics_from_confusion`.

    Raises InvalidInputError for no row, a negative count, or a confidence outside (0, 1).

    >>> sure = macro_f1_interval({("late", "late"): 1800, ("late", "ok"): 200, ("ok", "ok"): 8000})
    >>> [round(bound, 2) for bound in sure]
    [0.96, 0.97]
    >>> low, high = macro_f1_interval({("late", "late"): 5, ("ok", "ok"): 5})
    >>> low < 0.95 and high == 1.0
    True

    Sources: C. Goutte and E. Gaussier, "A Probabilistic Interpretation of Precision, Recall and F-score", ECIR 2005
    (the posterior of F); W. Perks, Journal of the Institute of Actuaries 73, 1947 (the prior of one row).
    """
    if not 0 < confidence < 1:
        raise InvalidInputError(f"a confidence lies between 0 and 1, got {confidence}")
    found = metrics_from_confusion(confusion, classes)
    table = _Table.of(confusion, found, classes)
    if len(table.known) < 2:
        return None
    rng = np.random.default_rng(SEED)
    scores = np.concatenate([_posterior(table, size, rng)[:, table.known].mean(axis=1) for size in table.pieces()])
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return min(float(low), found.macro_f1), max(float(high), found.macro_f1)


def macro_f1_under(
    confusion: Mapping[tuple[str, str], int], limit: float, *, rows: int, classes: Collection[str] | None = None
) -> float:
    """Return the chance that `rows` rows with the shares of `confusion` have a macro-F1 below `limit`.

    It is taken from 1,000 seeded draws; the mean is over the `classes` of the model, if known. Raises InvalidInputError
    for counts without a row, or for no `rows`.

    >>> seen = {("late", "late"): 80, ("late", "ok"): 20, ("ok", "late"): 20, ("ok", "ok"): 280}
    >>> [macro_f1_under(seen, 0.83, rows=rows) > 0.05 for rows in (200, 20_000)]
    [True, False]
    """
    if rows < 1:
        raise InvalidInputError(f"a macro-F1 is of one row at least, got {rows}")
    table = _Table.of(confusion, metrics_from_confusion(confusion, classes), classes)
    rng, shares = np.random.default_rng(SEED), table.counts / table.counts.sum()
    with np.errstate(invalid="ignore"):
        drawn = [_f1(*table.sums(rng.multinomial(rows, shares, size=size))) for size in table.pieces()]
    scores = np.nanmean(np.concatenate(drawn)[:, table.known], axis=1)  # classes without rows have no F1
    return float(np.mean(scores < limit))


@dataclass(frozen=True, slots=True)
class _Table:
    """The counted pairs, sparse: with 1,000 classes a million pairs are possible, and few are seen."""

    classes: int
    known: list[int]
    """The classes that the macro-F1 averages over."""
    truth: npt.NDArray[np.intp]
    said: npt.NDArray[np.intp]
    counts: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, confusion: Mapping[tuple[str, str], int], found: ClassificationMetrics, classes: Collection[str] | None
    ) -> "_Table":
        place = {label: number for number, label in enumerate(found.per_class)}
        seen = [(place[truth], place[said], count) for (truth, said), count in confusion.items() if count]
        truth, said, counts = (np.array(column) for column in zip(*seen, strict=True))
        known = [number for label, number in place.items() if classes is None or label in classes]
        return cls(len(place), known, truth, said, counts.astype(np.float64))

    def pieces(self) -> list[int]:
        """Return the sizes of the batches of draws, which bound the memory for any number of classes."""
        size = max(_FLOATS // (2 * len(self.counts) + self.classes + 4 * _STICKS), 1)
        return [min(size, DRAWS - start) for start in range(0, DRAWS, size)]

    def sums(self, draws: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return, by class, from draws (n, pair): the right answers, and the sum of true and predicted counts."""
        hits = np.zeros((len(draws), self.classes))
        right = self.truth == self.said
        hits[:, self.truth[right]] = draws[:, right]
        either = np.concatenate([self.truth, self.said])
        order = np.argsort(either, kind="stable")
        starts = np.searchsorted(either, np.arange(self.classes), sorter=order)  # each class occurs
        return hits, np.add.reduceat(draws[:, order % len(self.truth)], starts, axis=1, dtype=np.float64)


def _posterior(table: _Table, size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the F1 of each class (size, class) in draws from the posterior.

    Shares of a Dirichlet are independent gamma variables, up to a factor. That of a pair is gamma(count) +
    gamma(1 / K^2), and the second parts of all pairs are one exponential variable, broken like a Dirichlet process with
    a uniform base: the same distribution as K * K gamma variables, without a million of them.
    Source: J. Sethuraman, "A constructive definition of Dirichlet priors", Statistica Sinica 4, 1994.
    """
    hits, sums = table.sums(rng.standard_gamma(table.counts, size=(size, len(table.counts))))
    left = np.cumprod(rng.random((size, _STICKS)), axis=1)
    sticks = -np.diff(left, axis=1, prepend=1.0) * rng.standard_exponential((size, 1))
    truth, said = rng.integers(table.classes, size=(2, size, _STICKS))
    draw = np.arange(size)[:, None]
    np.add.at(hits, (draw, truth), np.where(truth == said, sticks, 0.0))
    for side in (truth, said):
        np.add.at(sums, (draw, side), sticks)
    return _f1(hits, sums)


def _f1(hits: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 2 * hits / sums
