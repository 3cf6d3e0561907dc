"""The interval of a share."""

from math import sqrt
from statistics import NormalDist

from mlops_dagster.errors import InvalidInputError


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the true share, after `successes` in `n` independent trials.

    Unlike the textbook interval it never leaves [0, 1] and is honest for 0 or n successes. With no trials it is (0, 1).
    It is for reports and for a single test: a decision that is tested repeatedly needs an e-value.

    Both may be fractions: if rows share causes, divide by the rows that are worth one.

    Raises InvalidInputError unless 0 <= successes <= n and 0 < confidence < 1.

    >>> low, high = wilson_interval(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.2775)

    Source: E. B. Wilson, Journal of the American Statistical Association 22, 1927.
    """
    if not 0 <= successes <= n or not 0 < confidence < 1:
        raise InvalidInputError(f"{successes} successes in {n} trials at confidence {confidence} make no interval")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high
