"""The change point: the block from which the rows of one sample have another distribution than those before."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.statistics.design_effects.design_effect import DesignEffect, design_effect
from mlops_dagster.statistics.distances.psi import psi_noise, psi_of_groups

FEWEST_BLOCKS: Final = 7
"""The fewest blocks on either side of a change: fewer do not show the variation between blocks."""
SIZE: Final = 0.1
"""The PSI below which two distributions count as equal, by convention: with many rows any two seasons differ."""
_LASTING: Final = 0.9


class ChangePoint(NamedTuple):
    """The first block of the newer part, the PSI between the two parts, and the PSI that chance may reach."""

    block: int
    psi: float
    noise: float


def change_point(
    groups: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64], *, alpha: float = 0.01
) -> ChangePoint | None:
    """Return the most likely change point of a column, from the group and the block of each row; None without a change.

    Blocks (days) are numbered from 0 in the order of time, groups from 0. Of all places with seven blocks on either
    side, the one whose parts differ most for their size is taken. It is a change if the PSI between the parts is 0.1 or
    more and above its noise at the level `alpha`, which is shared among all places (Bonferroni).

    The design effect of blocks is estimated within each part, so that the change itself does not inflate it, and grows
    with the similarity of successive blocks (a front that lasts): the larger of both parts is taken.

    >>> day = np.repeat(np.arange(40), 100)
    >>> value = np.random.default_rng(1).integers(4, size=4000)
    >>> change_point(value, day) is None, change_point(np.where(day < 25, value, value // 2), day).block
    (True, 25)

    Sources: D. M. Hawkins, Journal of the American Statistical Association 72, 1977 (the largest of all places); the
    noise as that of `psi_noise`, its blocks as those of `DesignEffect.of_many_blocks`.
    """
    shape = int(blocks.max(initial=-1)) + 1, int(groups.max(initial=-1)) + 1
    counts = np.bincount(blocks * shape[1] + groups, minlength=shape[0] * shape[1]).reshape(shape)
    counts = counts[:, counts.any(axis=0)]
    filled = np.cumsum(counts.any(axis=1))
    places = [
        block
        for block in range(1, shape[0])
        if counts[block].any() and min(filled[block - 1], filled[-1] - filled[block - 1]) >= FEWEST_BLOCKS
    ]
    if not places or counts.shape[1] < 2:
        return None
    older = np.cumsum(counts, axis=0)
    parts = {block: (older[block - 1], older[-1] - older[block - 1]) for block in places}
    block = max(places, key=lambda block: psi_of_groups(*parts[block]) / _spread(*parts[block]))
    before, after = parts[block]
    moved = psi_of_groups(before, after)
    shared = _larger(*(_within(groups[its], blocks[its]) for its in (blocks < block, blocks >= block)))
    noise = psi_noise(counts.shape[1], int(before.sum()), int(after.sum()), alpha=alpha / len(places), shared=shared)
    return ChangePoint(block, moved, noise) if moved >= SIZE and moved > noise else None


def _spread(before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> float:
    return float(1 / before.sum() + 1 / after.sum())


def _larger(one: DesignEffect, other: DesignEffect) -> DesignEffect:
    return DesignEffect(max(one.rows, other.rows), min(one.freedom, other.freedom))


def _within(groups: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> DesignEffect:
    """Return the design effect of a part for a mean over its blocks."""
    found = design_effect(groups, blocks)._replace(lasting=_lasting(groups, blocks))
    return found._replace(rows=found.of_many_blocks)


def _lasting(groups: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> float:
    """Return the correlation of the shares of successive blocks, over all groups, corrected for short series."""
    block = np.unique(blocks, return_inverse=True)[1]
    shape = int(block.max()) + 1, int(groups.max()) + 1
    counts = np.bincount(block * shape[1] + groups, minlength=shape[0] * shape[1]).reshape(shape)
    rows, share = counts.sum(axis=1, keepdims=True), counts.sum(axis=0) / counts.sum()
    own = (counts / rows - share)[:, share > 0] / np.sqrt(share[share > 0])
    if not own.any():
        return 0.0
    seen = float(np.sum(own[1:] * own[:-1]) / np.sum(own**2))
    return min(max(seen + (1 + 4 * max(seen, 0.0)) / len(own), 0.0), _LASTING)
