"""How sure one can be of a macro-F1."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.classification import metrics_from_confusion

DRAWS = 1000
SEED = 0


def macro_f1_interval(confusion: Mapping[tuple[str, str], int], confidence: float = 0.95) -> tuple[float, float] | None:
    """Between which values the macro-F1 lies that produced these counts of (true, predicted) pairs.

    With K classes seen, the shares of the K * K pairs are Dirichlet(count + 1 / K^2): what the counts say, and one
    more row spread over all pairs, so that no error seen is not taken for no error possible. The interval holds the
    middle `confidence` of the macro-F1 of 1,000 draws, and the macro-F1 of the counts themselves; it lies in [0, 1].
    The draws are seeded: equal counts, equal interval. None when only one class was seen: the others are unknown.

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
    found = metrics_from_confusion(confusion)
    place = {label: number for number, label in enumerate(found.per_class)}
    classes = len(place)
    if classes < 2:
        return None
    weights = np.full((classes, classes), 1 / classes**2)
    for (truth, prediction), count in confusion.items():
        if count:
            weights[place[truth], place[prediction]] += count
    draws = np.random.default_rng(SEED).standard_gamma(weights, size=(DRAWS, classes, classes))
    scores = _macro_f1(draws)
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return min(float(low), found.macro_f1), max(float(high), found.macro_f1)


def _macro_f1(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of tables (n, true, predicted) of shares, which need not add up to 1: F1 does not depend on the total."""
    hits = np.diagonal(shares, axis1=1, axis2=2)
    f1: npt.NDArray[np.float64] = 2 * hits / (shares.sum(axis=2) + shares.sum(axis=1))
    means: npt.NDArray[np.float64] = f1.mean(axis=1)
    return means
