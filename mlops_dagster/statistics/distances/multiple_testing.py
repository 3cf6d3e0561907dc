"""Multiple testing: the selection of significant results among many tests."""

from collections.abc import Sequence

import numpy as np

from mlops_dagster.errors import InvalidInputError


def benjamini_hochberg(pvalues: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Return which hypotheses to reject so that the expected share of wrong rejections is at most `alpha`.

    With p(1) <= ... <= p(m) sorted, all up to the largest k with p(k) <= alpha * k / m are rejected. It holds for
    independent tests and for tests that tend to agree, as those of correlated features do.

    The result is in the order of `pvalues`. Raises InvalidInputError for a p-value or alpha outside [0, 1].

    >>> benjamini_hochberg([0.001, 0.2, 0.02, 0.03], alpha=0.05)
    [True, False, True, True]
    >>> benjamini_hochberg([], alpha=0.05)
    []

    Source: Y. Benjamini, Y. Hochberg, Journal of the Royal Statistical Society B 57, 1995.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if not 0 <= alpha <= 1 or not ((p >= 0) & (p <= 1)).all():
        raise InvalidInputError(f"p-values and alpha lie between 0 and 1, got {list(pvalues)} and {alpha}")
    ranks = np.arange(1, len(p) + 1)
    small = np.flatnonzero(np.sort(p) <= alpha * ranks / max(len(p), 1))
    if len(small) == 0:
        return [False] * len(p)
    return [bool(value) for value in p <= np.sort(p)[small[-1]]]
