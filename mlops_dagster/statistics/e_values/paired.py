"""Evidence about the accuracy of two versions that scored the same requests."""

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
    """Return the evidence that the challenger is worse, or not worse, than the champion by `margin` of accuracy.

    On each label that both versions predicted, D = 1[champion right] - 1[challenger right]: 1 for a loss of the
    challenger, -1 for a win, 0 for a tie. The mean of D is the accuracy that the challenger loses. With d the margin,
    and nu > 0 for "worse", nu < 0 for "not_worse",

        E = mean over nu of  (1 + nu (1 - d))^losses * (1 - nu d)^ties * (1 - nu (1 + d))^wins

    "worse" is evidence against "it loses at most d" (abort); "not_worse" against "it loses d or more" (promote).
    "not_worse" with margin 0 says the challenger is superior, with margin 0.02 that it is not inferior by two
    points. E is 1 without labels and has no upper bound (inf).

    A label enters once, when it matures; a later correction does not change a bet.

    Labels that share a cause prove less than as many independent ones. With r `rows_per_observation`, the counts are
    divided by r, so that each factor is its r-th root. For independent rows E stays an e-value, but a smaller one: by
    Jensen's inequality the mean of a root is at most the root of the mean, which is 1. If r is their design effect
    (`difference_design_effect`), log E is distributed like that of 1/r as many independent rows, and E is an e-value
    approximately: as far as sums over days are normal. docs/benchmarks/shared-days.md has the measurements.

    Raises InvalidInputError for negative or non-finite counts, a margin outside (-1, 1) and r under 1.

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
