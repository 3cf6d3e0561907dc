"""Accuracy of two versions that scored the same requests."""

from math import inf

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.e_values.combination import Alternative
from mlops_dagster.statistics.e_values.difference import difference_e_value


def paired_e_value(
    wins: float,
    losses: float,
    ties: float,
    *,
    margin: float,
    alternative: Alternative = "worse",
    rows_per_observation: float = 1.0,
) -> float:
    """Evidence that the challenger is worse, or not worse, than the champion by `margin` of accuracy.

    On each label that both versions predicted, D = 1[champion right] - 1[challenger right]: 1 for a loss of the
    challenger, -1 for a win, 0 for a tie. The mean of D is how much accuracy the challenger loses. With d the
    margin, and nu > 0 for "worse", nu < 0 for "not_worse",

        E = mean over nu of  (1 + nu (1 - d))^losses * (1 - nu d)^ties * (1 - nu (1 + d))^wins

    "worse" is evidence against "it loses at most d" (abort); "not_worse" against "it loses d or more" (promote).
    "not_worse" with margin 0 says the challenger is superior, with margin 0.02 that it is not inferior by two
    points. E is 1 without labels and has no upper bound (inf).

    A label enters once, when it matures; a correction does not change a bet that was made.

    Labels that share a cause prove less than they number. With r `rows_per_observation` the counts are divided by it,
    so that each factor is its r-th root. Where rows are independent E stays an e-value, a smaller one: by Jensen the
    mean of a root is at most the root of the mean, which is 1. Where r is their design effect
    (`difference_design_effect`), log E is distributed like that of 1/r as many independent rows, and E is an e-value
    approximately: as far as sums over days are normal. docs/shared-days.md has what was measured.

    Raises InvalidInputError for counts that are negative or no numbers, a margin outside (-1, 1) and r under 1.

    >>> paired_e_value(0, 0, 0, margin=0.02)
    1.0
    >>> paired_e_value(30, 32, 938, margin=0.02, alternative="not_worse") > 1
    True
    >>> many = paired_e_value(300, 320, 9380, margin=0.02, alternative="not_worse", rows_per_observation=10)
    >>> round(many / paired_e_value(30, 32, 938, margin=0.02, alternative="not_worse"), 9)
    1.0

    Source: Waudby-Smith & Ramdas, arXiv 2010.09686 (betting); Johari et al., KDD 2017 (mixtures).
    """
    if not (min(wins, losses, ties) >= 0 and wins + losses + ties < inf):
        raise InvalidInputError(f"{wins} wins, {losses} losses and {ties} ties make no test")
    cells = [(-1.0, wins), (1.0, losses), (0.0, ties)]
    return difference_e_value(cells, margin=margin, alternative=alternative, rows_per_observation=rows_per_observation)
