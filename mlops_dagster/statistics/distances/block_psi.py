"""The largest distance of a single day from its whole sample: a day may differ as much without a change."""

from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_dagster.statistics.distances.psi import psi_of_groups

FEWEST_BLOCKS: Final = 20
FEWEST_ROWS: Final = 200
"""Smaller blocks differ more by chance than by causes that their rows share."""


def worst_block_psi(
    groups: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64], *, fewest_rows: int = FEWEST_ROWS
) -> float | None:
    """Return the largest PSI of one block against all rows, from the group and the block of each row, numbered from 0.

    A later block of the same kind exceeds it with probability 1 / (blocks + 1), whatever their distribution: rare
    storms are included, which no chi-squared covers. None with fewer than 20 blocks of `fewest_rows` or more.

    >>> day = np.repeat(np.arange(30), 1000)
    >>> storm = (day == 7).astype(np.int64)
    >>> worst_block_psi(storm, day) > 3, worst_block_psi(storm[:5000], day[:5000])
    (True, None)

    Source: V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005 (exchangeability).
    """
    shape = int(blocks.max(initial=-1)) + 1, int(groups.max(initial=-1)) + 1
    counts = np.bincount(blocks * shape[1] + groups, minlength=shape[0] * shape[1]).reshape(shape)
    counts = counts[:, counts.any(axis=0)]
    large = counts[counts.sum(axis=1) >= fewest_rows]
    if len(large) < FEWEST_BLOCKS:
        return None
    return max(psi_of_groups(counts.sum(axis=0), block) for block in large)
