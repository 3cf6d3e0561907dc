"""Evidence about the difference of two losses, from predictions that both versions made."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.combination import Alternative, mixture

FRACTIONS: Final = np.array([0.05, 0.1, 0.2, 0.35, 0.6])
"""The bets, of equal weight: |nu| as a fraction of the largest value that keeps all factors non-negative.

The best nu is about (mean of D - d) / (variance of D): small if the two often disagree, large if one always loses.
Champion 0.93, the two disagreeing on 6 %, margin 0.02, alpha 0.05: a challenger at 0.93 is proven not worse after a
median of 950 labels, one at 0.91 worse (margin 0) after 920, one at 0.88 worse by over 0.02 after 400 (700 if they
disagree on 11 %). If they disagree on 20 %, the first takes 3,100 labels.
"""


def difference_e_value(
    cells: Iterable[tuple[float, float]],
    *,
    margin: float,
    alternative: Alternative = "worse",
    rows_per_observation: float = 1.0,
) -> float:
    """Return the evidence that the challenger's mean loss is, or is not, more than `margin` over the champion's.

    With D = loss of the challenger - loss of the champion on one prediction, d the margin, n_v the count of D = v, and
    r the rows that are worth one observation,

        E = mean over nu of exp( sum over v of n_v log(1 + nu (v - d)) / r )

    where nu > 0 for "worse" and nu < 0 for "not_worse". For independent predictions E is an e-value with r = 1, and by
    Jensen's inequality with r > 1 too. If predictions of one day share causes, r is the design effect of D
    (`difference_design_effect`), and E is distributed as with 1 / r times as many independent predictions.

    Args:
        cells: values of D in [-1, 1], each with its count (0 or more).
        margin: d, in (-1, 1).
        alternative: "worse" is evidence against "the mean of D is at most d", "not_worse" against "it is d or more".
        rows_per_observation: r, 1 or more.

    Raises:
        InvalidInputError: for an argument outside its range.

    >>> difference_e_value([(-1.0, 30), (1.0, 90), (0.0, 880)], margin=0.02) > 20
    True
    >>> difference_e_value([(-1.0, 30), (1.0, 90), (0.0, 880)], margin=0.02, rows_per_observation=10) > 20
    False

    Source: Waudby-Smith & Ramdas, arXiv 2010.09686 (betting); J. N. K. Rao, A. J. Scott, JASA 76, 1981 (r).
    """
    if not -1 < margin < 1:
        raise InvalidInputError(f"a margin of {margin} makes no test; it lies in (-1, 1)")
    if not 1 <= rows_per_observation < inf:
        raise InvalidInputError(f"an observation is of one row or more, not of {rows_per_observation}")
    # A bet stakes what its worst prediction takes: D = -1 for "worse", D = 1 for "not_worse".
    nu = FRACTIONS / (1 + margin) if alternative == "worse" else -FRACTIONS / (1 - margin)
    log_e = np.zeros_like(nu)
    for value, count in cells:
        if not -1 <= value <= 1 or not count >= 0:
            raise InvalidInputError(f"a difference of {value} that came {count} times is impossible")
        log_e += count * np.log1p(nu * (value - margin))
    return mixture(log_e / rows_per_observation)


def days_differ(days: Sequence[tuple[int, int, int]], *, rows_per_observation: float) -> float | None:
    """Return the rows that count as one by the evidence of these days, if surely more than `rows_per_observation`.

    With D_b the mean difference of a day of n_b rows, and v the variance of one row, sum n_b (D_b - D)^2 / (v (B - 1))
    of B days is about r chi-squared(B - 1) / (B - 1). None if chance explains it with probability 1 % or more.

    Args:
        days: (wins, losses, ties) of each day.
        rows_per_observation: the assumed number.

    >>> days_differ([(10, 12, 900), (15, 9, 880), (8, 14, 910)], rows_per_observation=1.0) is None
    True
    >>> round(days_differ([(90, 2, 800), (2, 95, 800), (80, 5, 810)], rows_per_observation=1.0))
    24
    """
    counts = np.array([day for day in days if sum(day)], dtype=np.float64).reshape(-1, 3)
    rows = counts.sum(axis=1)
    if len(counts) < 2:
        return None
    from scipy.special import chdtri

    difference = counts[:, 1] - counts[:, 0]
    mean = difference.sum() / rows.sum()
    variance = (counts[:, 0] + counts[:, 1]).sum() / rows.sum() - mean**2
    if variance <= 0:
        return None
    freedom = len(counts) - 1
    ratio = float(np.sum(rows * (difference / rows - mean) ** 2) / variance / freedom)
    least = ratio / (float(chdtri(freedom, 0.01)) / freedom)
    return least if least > rows_per_observation else None
