"""The design effect: the number of rows that are worth one, if rows that came together share a cause."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError


class DesignEffect(NamedTuple):
    """The effect of shared causes on counts; for independent rows it is (1, 1).

    `rows` rows (1 or more) count as one. `freedom`, above 0 and at most 1, is the remaining share of the degrees of
    freedom of a test: 1 if rows repeat one another, less if all groups move together (a storm delays every flight).
    `rows_per_day` is the traffic that it was estimated on, and `worst_psi` the largest PSI of one of its blocks against
    all of them; `worst_hour_psi` is that of an hour. None if unknown. `lasting`, from 0 to 0.9, is the correlation
    between the shared parts of successive blocks: a cause that lasts. 0 takes blocks as independent.
    """

    rows: float = 1.0
    freedom: float = 1.0
    rows_per_day: float | None = None
    worst_psi: float | None = None
    worst_hour_psi: float | None = None
    lasting: float = 0.0

    def at(self, rows_per_day: float) -> "DesignEffect":
        """Return the design effect at another traffic: with twice the rows a day, `rows` is slightly less than double.

            1 + (rows - 1) * rows_per_day / (that of the estimate), from 1 + (rows of a block - 1) * their correlation

        >>> DesignEffect(rows=3.0, rows_per_day=100.0).at(1000.0).rows
        21.0

        Source: L. Kish, Survey Sampling, 1965, 5.4.
        """
        if self.rows_per_day is None:
            return self
        rows = 1 + (self.rows - 1) * rows_per_day / self.rows_per_day
        return self._replace(rows=rows, rows_per_day=rows_per_day)

    @property
    def of_many_blocks(self) -> float:
        """The rows that are worth one in a mean over many blocks: more than in one block, if the cause lasts.

            1 + (rows - 1) (1 + lasting) / (1 - lasting), from the variance of a mean of an autoregression

        >>> DesignEffect(rows=3.0, lasting=0.5).of_many_blocks
        7.0

        Source: G. E. P. Box, G. M. Jenkins, Time Series Analysis, 1970, 2.1 and 3.2.
        """
        return 1 + (self.rows - 1) * (1 + self.lasting) / (1 - self.lasting)


INDEPENDENT: Final = DesignEffect()


def design_effect(groups: npt.ArrayLike, blocks: npt.ArrayLike) -> DesignEffect:
    """Return the design effect of a column, from the group and the block of each of its rows: two lists of integers.

    A block is as long as the stretch that will be judged; rows of different blocks are taken as independent. With n_b
    rows in block b, n_bk of them in group k, and p_k the share of group k in all n rows of C blocks,
    in block b, n_bk of them in group k, and p_k the share of group k in all n rows of C blocks,

        u_b = (n_bk - n_b p_k) / sqrt(p_k),  M = C / (C - 1) / n * sum over blocks of u_b u_b'

    is the unit matrix, less one dimension, for independent rows. Its mean eigenvalue is the factor by which the shares
    of a block vary more than by chance (`rows`), and (sum of eigenvalues)^2 / (sum of their squares) the number of its
    dimensions that matter (`freedom`, as a share). Both are estimates: with few blocks slightly too careful.

    Less variation than chance (a timetable) counts as independent rows; so do fewer than two blocks or groups, which
    show no sharing. Raises InvalidInputError unless each row has a group and a block.

    >>> weather = np.random.default_rng(1).integers(4, size=1000)
    >>> found = design_effect(groups=np.repeat(weather, 30), blocks=np.repeat(np.arange(1000), 30))
    >>> round(found.rows), round(found.freedom)
    (30, 1)

    Source: J. N. K. Rao, A. J. Scott, Journal of the American Statistical Association 76, 1981, with the second order
    as in Annals of Statistics 12, 1984.
    """
    share, moved = _by_block(groups, blocks)
    if min(moved.shape) < 2:
        return INDEPENDENT
    scaled = moved / np.sqrt(share)
    matrix = scaled.T @ scaled
    total, dimensions = float(np.trace(matrix)), len(share) - 1
    if total <= dimensions:
        return INDEPENDENT
    freedom = total**2 / float(np.sum(matrix**2)) / dimensions
    return DesignEffect(total / dimensions, min(freedom, 1.0))


def ks_design_effect(groups: npt.ArrayLike, blocks: npt.ArrayLike) -> DesignEffect:
    """Return the design effect for the Kolmogorov-Smirnov distance; `groups` are numbered by value, e.g. deciles.

    D is largest where the distribution functions differ most, so the variance of the share below a value matters, at
    the value where it is largest: in units of 1/4, the variance of chance at the median.
    """
    _, moved = _by_block(groups, blocks)
    if min(moved.shape) < 2:
        return INDEPENDENT
    below = np.cumsum(moved, axis=1)
    return DesignEffect(rows=max(4 * float(np.max(np.sum(below**2, axis=0))), 1.0))


def beside_design_effect(bad: npt.ArrayLike, trials: npt.ArrayLike) -> DesignEffect | None:
    """Return the design effect of bad events of groups against each other, by bad events and trials (block, group).

    A block may be worse than others in all its groups alike; that is left out. With p_k the rate of group k, and d_b
    the average excess of block b over these, the effect is the remaining variance over that of chance, at its upper
    bound of 90 %:

        rows = sum of (bad - trials (p_k + d_b))^2 / (trials p_k (1 - p_k)) / chi_0.1

    where chi_0.1 is the value that chi-squared of (blocks - 1) (groups - 1) degrees exceeds with probability 0.9; it is
    at least 1. None with fewer than two blocks, or fewer than two groups that are neither always nor never bad.

    >>> storm = np.array([[10, 20]] * 9 + [[40, 50]])
    >>> round(beside_design_effect(storm, np.full((10, 2), 100)).rows, 1)
    1.0
    >>> round(beside_design_effect(storm * [1, 0] + [0, 20], np.full((10, 2), 100)).rows, 1)
    7.3

    Source: P. McCullagh, J. A. Nelder, Generalized Linear Models, 1989, 4.5 (the factor of overdispersion).
    """
    k, n = np.asarray(bad, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    mixed = (k.sum(axis=0) > 0) & (k.sum(axis=0) < n.sum(axis=0))
    k, n = k[:, mixed], n[:, mixed]
    k, n = k[n.sum(axis=1) > 0], n[n.sum(axis=1) > 0]
    if min(n.shape) < 2:
        return None
    from scipy.special import chdtri

    p = k.sum(axis=0) / n.sum(axis=0)
    over = (k.sum(axis=1) - n @ p) / n.sum(axis=1)
    left = (k - n * (p + over[:, None])) ** 2 / np.maximum(n * p * (1 - p), 1e-300)
    freedom = max(int(np.count_nonzero(n)) - len(n) - len(p) + 1, 1)
    rows = float(left[n > 0].sum()) / float(chdtri(freedom, 0.9))
    return DesignEffect(rows=max(rows, 1.0), rows_per_day=float(n.sum() / len(n)))


def _by_block(groups: npt.ArrayLike, blocks: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the share of each group, and the excess (blocks, groups) of rows of each block over these shares.

    The excess is in units in which the sum of squares over the blocks is the variance that one row would have.
    """
    group, block = np.asarray(groups), np.asarray(blocks)
    if group.shape != block.shape or group.ndim != 1:
        raise InvalidInputError(f"each row has a group and a block, got shapes {group.shape} and {block.shape}")
    group_names, group = np.unique(group, return_inverse=True)
    block_names, block = np.unique(block, return_inverse=True)
    shape = rows, columns = len(block_names), len(group_names)
    if rows < 2:
        return np.ones(columns), np.zeros(shape)
    counts = np.bincount(block * columns + group, minlength=rows * columns).reshape(shape)
    share = counts.sum(axis=0) / len(group)
    moved = counts - counts.sum(axis=1, keepdims=True) * share
    return share, moved * np.sqrt(rows / (rows - 1) / len(group))
