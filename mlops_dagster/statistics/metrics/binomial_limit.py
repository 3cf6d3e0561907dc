"""The limit of bad rows among few rows that chance explains."""

from mlops_dagster.errors import InvalidInputError


def most_by_chance(rows: int, share: float, *, alpha: float, rows_per_observation: float = 1.0) -> int:
    """Return the largest number of `rows`, each bad with probability `share` at most, that chance explains.

    More of them are bad with a probability of at most `alpha`: it is the smallest number k with P(X > k) <= alpha for
    X ~ Binomial(rows, share). For many rows that is little more than rows * share.

    If `rows_per_observation` rows are one observation (1 or more), chance explains as many as a binomial of
    rows / rows_per_observation observations gives, up to half of the rows: a fault in most of a batch is not chance,
    whatever its rows share. Without that cap no hour of 37 flights under one sky could ever be bad.

    Raises InvalidInputError for arguments out of range.

    >>> [most_by_chance(rows, 0.10, alpha=1e-5) for rows in (3, 37, 1000, 100_000)]
    [3, 13, 143, 10407]
    >>> most_by_chance(1000, 0.05, alpha=1e-5, rows_per_observation=10)
    160
    """
    if rows < 0 or not 0 <= share <= 1 or not 0 < alpha < 1 or not rows_per_observation >= 1:
        raise InvalidInputError(
            "rows >= 0, share in [0, 1], alpha in (0, 1), rows_per_observation >= 1; "
            f"got {rows}, {share}, {alpha}, {rows_per_observation}"
        )
    if rows == 0 or share == 0:
        return 0
    independent = _quantile(rows, share, alpha)
    if rows_per_observation == 1:
        return independent
    observations = max(int(rows / rows_per_observation), 1)
    shared = int(_quantile(observations, share, alpha) * rows / observations)
    return max(independent, min(shared, rows // 2))


def _quantile(rows: int, share: float, alpha: float) -> int:
    from scipy.stats import binom

    return int(binom.isf(alpha, rows, share))
