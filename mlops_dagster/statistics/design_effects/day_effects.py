"""Design effects of daily counts: of bad events, and of the difference between two versions."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.design_effects.design_effect import DesignEffect

_RATE_CONFIDENCE: Final = 0.9
_RATE_LASTING: Final = 0.9
_DIFFERENCE_CONFIDENCE: Final = 0.8
"""Measured in docs/benchmarks/shared-days.md, on days in random order: with 75 %, false claims are just at 5 %, and
with 80 % below it, for 7, 14 and 28 days alike; 90 % would need 15 to 45 % more labels."""
_DIFFERENCE_LASTING: Final = 0.5
"""The largest correlation of successive days that is accepted: the most that the weather of the flights has. A week
with a larger one has it by chance, and would make hundreds of rows one; the cap causes no more false claims."""


def rate_design_effect(blocks: Sequence[tuple[int, int]]) -> DesignEffect | None:
    """Return an upper bound of the design effect of bad events, from (bad, trials) of each block (day) in order.

    The correlation of two trials of one block is taken at its upper bound of 90 % confidence: a few blocks show it only
    roughly, and tests that use it must hold in spite of that. With F the variance between blocks over that within (of
    an analysis of variance; 1 if it is below chance, or without bad events), F_0.1 the value that F exceeds with
    probability 0.9 if nothing is shared, and m the trials of a block,

        correlation = (F / F_0.1 - 1) / (F / F_0.1 + m - 1),  rows = 1 + (m - 1) correlation

    `lasting` is the correlation r of the rates of successive blocks: the sample's, plus its bias, (1 + 4 r) / blocks.
    Blocks that resemble those before them show less of the variation between blocks: F_0.1 is for the number of blocks
    that are independent, blocks (1 - r) / (1 + r).

    None with fewer than two blocks that have trials, or a single trial in each, which show no sharing. Raises
    InvalidInputError unless 0 <= bad <= trials.

    >>> alike, storm = [(10, 100), (12, 100)] * 10, [(10, 100), (12, 100)] * 9 + [(10, 100), (80, 100)]
    >>> round(rate_design_effect(alike).rows, 1), round(rate_design_effect(storm).rows)
    (1.6, 28)
    >>> round(rate_design_effect([(10, 100)] * 10 + [(20, 100)] * 10).lasting, 1)
    0.9

    Sources: S. R. Searle, Linear Models, 1971, chapter 9 (the interval); A. Donner, International Statistical Review
    54, 1986 (its use for events); F. H. C. Marriott, J. A. Pope, Biometrika 41, 1954 (the bias).
    """
    counts = np.array(blocks, dtype=np.float64).reshape(-1, 2)
    bad, trials = counts[counts[:, 1] > 0].T
    if (bad < 0).any() or (bad > trials).any() or (counts < 0).any():
        raise InvalidInputError(f"a block has bad events of at least as many trials, got {list(blocks)}")
    return _of_means(trials, bad, bad, _RATE_CONFIDENCE, _RATE_LASTING)


def difference_design_effect(
    blocks: Sequence[tuple[int, int, int]], *, confidence: float = _DIFFERENCE_CONFIDENCE
) -> DesignEffect | None:
    """Return the design effect of a paired difference, from (wins, losses, ties) of each block (day) in order.

    The difference is D = 1[champion right] - 1[challenger right]: 1 for a loss of the challenger, -1 for a win and 0
    for a tie. Its daily mean varies by more than chance: a storm, a sale or a broken sensor favours one of the versions
    on all rows of its day. The effect is estimated as in `rate_design_effect`, with these changes:

    - F is of an analysis of variance of D, whose variance within a day with n rows, w wins and l losses is
      w + l - (l - w)^2 / n over n.
    - `lasting` is at most 0.5: one or two weeks cannot tell more of it from chance.
    - The bound has 80 % `confidence`. `paired_e_value` with `rows_per_observation` then keeps its promise with many
      days and with a week of them, at the lowest price in labels; docs/benchmarks/shared-days.md has the table.

    The test takes `.at(pairs a day).of_many_blocks`: a rollout is a mean over many days, and a cause that favours a
    version may last. Days that are alike (by a timetable) count as independent rows, at the bound.

    None with fewer than two days that have rows, or a single row in each, which show no sharing. Raises
    InvalidInputError for negative counts.

    >>> even, storm = [(10, 10, 80), (12, 9, 79)] * 7, [(10, 10, 80), (12, 9, 79)] * 6 + [(10, 10, 80), (1, 40, 59)]
    >>> round(difference_design_effect(even).rows, 1), round(difference_design_effect(storm).rows, 1)
    (1.5, 8.3)
    """
    counts = np.array(blocks, dtype=np.float64).reshape(-1, 3)
    if (counts < 0).any():
        raise InvalidInputError(f"a block has wins, losses and ties, none of them negative, got {list(blocks)}")
    wins, losses, ties = counts[counts.sum(axis=1) > 0].T
    return _of_means(wins + losses + ties, losses - wins, losses + wins, confidence, _DIFFERENCE_LASTING)


def _of_means(
    rows: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    confidence: float,
    most_lasting: float,
) -> DesignEffect | None:
    """Return an upper bound of the design effect of a mean, from rows, sums and sums of squares by block."""
    n, c = float(rows.sum()), len(rows)
    if c < 2 or n <= c:
        return None
    from scipy.special import fdtri

    means = sums / rows
    between = float(np.sum(rows * (means - sums.sum() / n) ** 2)) / (c - 1)
    within = float(np.sum(squares - sums * means)) / (n - c)
    size = max(float(n - np.sum(rows**2) / n) / (c - 1), 1.0)
    lasting = min(_lasting(means), most_lasting)
    if within == 0 and between > 0:  # all rows of a block are equal
        return DesignEffect(rows=size, rows_per_day=size, lasting=lasting)
    independent = c * (1 - lasting) / (1 + lasting)
    least = float(fdtri(max(independent - 1, 0.5), n - c, 1 - confidence))
    ratio = max(between / within if within else 1.0, 1.0) / least
    correlation = max(ratio - 1, 0.0) / (ratio + size - 1)
    return DesignEffect(rows=1.0 + (size - 1) * correlation, rows_per_day=size, lasting=lasting)


def _lasting(means: npt.NDArray[np.float64]) -> float:
    """Return the correlation of what successive blocks have apart from the mean, corrected for a short series."""
    own = means - means.mean()
    if not own.any():
        return 0.0
    seen = float(own[1:] @ own[:-1] / (own @ own))
    return max(seen + (1 + 4 * max(seen, 0.0)) / len(means), 0.0)
