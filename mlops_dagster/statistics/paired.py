"""Accuracy of two versions that scored the same requests."""

from typing import Final

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values import Alternative, mixture

FRACTIONS: Final = np.array([0.05, 0.1, 0.2, 0.35, 0.6])
"""The bets, of equal weight: |nu| as a fraction of the largest one at which no factor can be negative.

The best nu is about (mean of D - d) / (variance of D): small where the two often disagree, large where one always
loses. Champion 0.93, the two disagreeing on 6 %, margin 0.02, alpha 0.05: a challenger at 0.93 is proven not worse
after a median of 950 labels, one at 0.91 worse (margin 0) after 920, one at 0.88 worse by over 0.02 after 400 (700 if
they disagree on 11 %). When they disagree on 20 %, the first takes 3,100 labels.
"""


def paired_e_value(wins: int, losses: int, ties: int, *, margin: float, alternative: Alternative = "worse") -> float:
    """Evidence that the challenger is worse, or not worse, than the champion by `margin` of accuracy.

    On each label that both versions predicted, D = 1[champion right] - 1[challenger right]: 1 for a loss of the
    challenger, -1 for a win, 0 for a tie. The mean of D is how much accuracy the challenger loses. With d the
    margin, and nu > 0 for "worse", nu < 0 for "not_worse",

        E = mean over nu of  (1 + nu (1 - d))^losses * (1 - nu d)^ties * (1 - nu (1 + d))^wins

    "worse" is evidence against "it loses at most d" (abort); "not_worse" against "it loses d or more" (promote).
    "not_worse" with margin 0 says the challenger is superior, with margin 0.02 that it is not inferior by two
    points. E is 1 without labels and has no upper bound (inf).

    A label enters once, when it matures; a correction does not change a bet that was made.

    Raises InvalidInputError for negative counts and a margin outside (-1, 1).

    >>> paired_e_value(0, 0, 0, margin=0.02)
    1.0
    >>> paired_e_value(30, 32, 938, margin=0.02, alternative="not_worse") > 1
    True

    Source: Waudby-Smith & Ramdas, arXiv 2010.09686 (betting); Johari et al., KDD 2017 (mixtures).
    """
    if min(wins, losses, ties) < 0 or not -1 < margin < 1:
        raise InvalidInputError(f"{wins} wins, {losses} losses and {ties} ties with a margin of {margin} make no test")
    # the stake of a bet is what its worst label takes: a win for "worse", a loss for "not_worse"
    nu = FRACTIONS / (1 + margin) if alternative == "worse" else -FRACTIONS / (1 - margin)
    return mixture(
        losses * np.log1p(nu * (1 - margin)) + ties * np.log1p(-nu * margin) + wins * np.log1p(-nu * (1 + margin))
    )
