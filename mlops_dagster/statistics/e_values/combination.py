"""E-values: evidence against a hypothesis that stays valid however often it is computed.

An e-value is a non-negative number whose expectation is at most 1 while the hypothesis is true, at any moment that one
may choose to stop. So it ever exceeds 1 / alpha with probability at most alpha (Ville's inequality): reject at
E >= 1 / alpha.

Sources: Waudby-Smith & Ramdas, arXiv 2010.09686; Ramdas et al., arXiv 2210.01948.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError

Alternative: TypeAlias = Literal["worse", "not_worse"]
"""The side of the evidence: "worse" (abort) or "not_worse" (promote)."""


def anytime_p(e_max: float) -> float:
    """Return the p-value, valid at any time, of the largest e-value seen so far: min(1, 1 / e_max).

    Raises InvalidInputError for a negative number or NaN.

    >>> anytime_p(40.0), anytime_p(0.0), anytime_p(float("inf"))
    (0.025, 1.0, 0.0)
    """
    if not e_max >= 0:
        raise InvalidInputError(f"an e-value is 0 or more, got {e_max}")
    return 1.0 if e_max <= 1 else 1 / e_max


def combine(e_values: Iterable[float]) -> float:
    """Return one e-value from several on the same hypothesis, with any dependence between them: their mean.

    Several metrics share one alpha this way. Raises InvalidInputError for none, or for one that is not an e-value.

    >>> combine([60.0, 0.5, 0.1])
    20.2
    """
    values = list(e_values)
    if not values or not all(value >= 0 for value in values):
        raise InvalidInputError(f"one or more e-values of 0 or more are needed, got {values}")
    return sum(values) / len(values)


def mixture(log_e: npt.NDArray[np.float64]) -> float:
    """Return the mean of e-values given by their logarithms; inf if it is too large for a float."""
    largest = float(np.max(log_e))
    with np.errstate(over="ignore"):
        return float(np.exp(largest + np.log(np.mean(np.exp(log_e - largest)))))
