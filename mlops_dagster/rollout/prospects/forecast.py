"""Forecast of the evidence that a proof still takes, at the present rates."""

from collections.abc import Callable
from math import sqrt

_FARTHEST = 64.0
_EXACT_ENOUGH = 1.05


def growth_needed(e_value_at: Callable[[float], float], target: float) -> float | None:
    """Return the factor by which the counts must grow until the e-value reaches `target`; None if over 64.

    `e_value_at(factor)` is the e-value of counts that have grown by `factor` with unchanged proportions.

    >>> round(growth_needed(lambda factor: 2.0**factor, 16.0), 0)
    4.0
    >>> growth_needed(lambda factor: 0.5**factor, 16.0) is None
    True
    """
    low, high = 1.0, _FARTHEST
    if e_value_at(high) < target:
        return None
    while high / low > _EXACT_ENOUGH:
        middle = sqrt(low * high)
        low, high = (low, middle) if e_value_at(middle) >= target else (middle, high)
    return high


def about(count: float) -> int:
    """Round `count` to two digits, the precision of a forecast.

    >>> about(1234.5)
    1200
    """
    return int(float(f"{count:.2g}"))
