"""How sure one can be of a macro-F1."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.classification import metrics_from_confusion

DRAWS = 1000
SEED = 0


def macro_f1_interval(
    confusion: Mapping[tuple[str, str], int],
    confidence: float = 0.95,
    *,
    classes: Collection[str] | None = None,
) -> tuple[float, float] | None:
    """Between which values the macro-F1 lies that produced these counts of (true, predicted) pairs.

    With K classes seen, the shares of the K * K pairs are Dirichlet(count + 1 / K^2): what the counts say, and one
    more row spread over all pairs, so that no error seen is not taken for no error possible. The interval holds the
    middle `confidence` of the macro-F1 of 1,000 draws, and the macro-F1 of the counts themselves; it lies in [0, 1].
    The draws are seeded: equal counts, equal interval. None when only one class was seen: the others are unknown. The
    mean is over the `classes` of the model, where these are known, as that of `metrics_from_confusion`.

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
    place = {label: number for number, label in enumerate(found.per_class)}
    known = [number for label, number in place.items() if classes is None or label in classes]
    if len(known) < 2:
        return None
    weights = np.full((len(place), len(place)), 1 / len(place) ** 2)
    for (truth, prediction), count in confusion.items():
        if count:
            weights[place[truth], place[prediction]] += count
    draws = np.random.default_rng(SEED).standard_gamma(weights, size=(DRAWS, *weights.shape))
    scores = _f1(draws)[:, known].mean(axis=1)
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return min(float(low), found.macro_f1), max(float(high), found.macro_f1)


def _f1(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each class (n, class), from tables (n, true, predicted) of shares, which need not add up to 1."""
    hits = np.diagonal(shares, axis1=1, axis2=2)
    f1: npt.NDArray[np.float64] = 2 * hits / (shares.sum(axis=2) + shares.sum(axis=1))
    return f1


def macro_f1_under(
    confusion: Mapping[tuple[str, str], int], limit: float, *, rows: int, classes: Collection[str] | None = None
) -> float:
    """How often so many rows with the shares of `confusion` have a macro-F1 under `limit`, by chance alone.

    Of 1,000 seeded draws; the mean is over the `classes` of the model, where these are known. Raises InvalidInputError
    for counts without a row, or no `rows`.

    >>> seen = {("late", "late"): 80, ("late", "ok"): 20, ("ok", "late"): 20, ("ok", "ok"): 280}
    >>> [macro_f1_under(seen, 0.83, rows=rows) > 0.05 for rows in (200, 20_000)]
    [True, False]
    """
    if rows < 1:
        raise InvalidInputError(f"a macro-F1 is of one row at least, got {rows}")
    found = metrics_from_confusion(confusion, classes)
    place = {label: number for number, label in enumerate(found.per_class)}
    known = [number for label, number in place.items() if classes is None or label in classes]
    shares = np.zeros((len(place), len(place)))
    for (truth, prediction), count in confusion.items():
        if count:
            shares[place[truth], place[prediction]] += count
    drawn = np.random.default_rng(SEED).multinomial(rows, shares.ravel() / shares.sum(), size=DRAWS)
    tables = drawn.reshape(DRAWS, *shares.shape).astype(np.float64)
    with np.errstate(invalid="ignore"):
        scores = np.nanmean(_f1(tables)[:, known], axis=1)  # classes that none of the rows is of have no F1
    return float(np.mean(scores < limit))
