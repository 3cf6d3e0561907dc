"""The interval of a difference of two rates."""

from math import sqrt

from mlops_dagster.statistics.metrics.wilson import wilson_interval


def difference_interval(successes: float, n: float, other_successes: float, other_n: float) -> tuple[float, float]:
    """Return the 95 % interval of the first rate minus the other one, of two independent samples.

    It is made of the Wilson intervals of both rates, and holds for rates near 0 too. Counts may be divided by the rows
    that are worth one observation.

    >>> [round(end, 4) for end in difference_interval(56, 70, 48, 80)]
    [0.0524, 0.3339]

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of
    eleven methods", Statistics in Medicine 17, 1998, method 10.
    """
    rate, other = successes / n, other_successes / other_n
    low, high = wilson_interval(successes, n)
    other_low, other_high = wilson_interval(other_successes, other_n)
    difference = rate - other
    return (
        difference - sqrt((rate - low) ** 2 + (other_high - other) ** 2),
        difference + sqrt((high - rate) ** 2 + (other - other_low) ** 2),
    )
