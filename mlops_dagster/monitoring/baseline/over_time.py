"""A column of the training set over time: its design effect, and whether it changed within the training set."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.registry.entities.regimes import Regimes
from mlops_dagster.statistics import (
    Bins,
    Column,
    DesignEffect,
    Histogram,
    change_point,
    design_effect,
    ks_design_effect,
    psi_groups,
    worst_block_psi,
)

if TYPE_CHECKING:
    import pandas as pd

_BLOCKS = 20  # fewer blocks give a poor estimate

_ROWS_OF_AN_HOUR = 20  # with fewer rows, chance alone moves an hour farther than any shift

_ALPHA = 0.01
"""The probability that a training set of one regime is taken for one of two, over all its columns together."""


class OverTime(NamedTuple):
    """The design effect of a column, and its two regimes; None where the whole column is of one regime."""

    effect: DesignEffect
    regimes: Regimes | None


def over_time(
    values: Column, bins: Bins, times: "pd.Series[pd.Timestamp]", *, is_score: bool = False, columns: int = 1
) -> OverTime:
    """Return the design effect and the regimes of one of `columns` columns, from the value and the time of each row.

    The design effect of scores is that of their Kolmogorov-Smirnov distance; of all other columns, that of their PSI.
    """
    cells = bins.index(values)
    groups = psi_groups(Histogram(bins, np.bincount(cells, minlength=bins.size)))[cells]
    blocks, measure = blocks_of(times), _score_effect if is_score else _effect
    found = change_point(groups, blocks, alpha=_ALPHA / columns)
    if found is None:
        return OverTime(measure(groups, times), None)
    newer = blocks >= found.block
    regimes = Regimes(
        since=times[newer].min().floor("us").to_pydatetime(),
        psi=found.psi,
        newer=Histogram(bins, np.bincount(cells[newer], minlength=bins.size)),
        effect=measure(groups[newer], times[newer]),
    )
    return OverTime(measure(groups, times), regimes)


def _effect(groups: npt.NDArray[np.intp], times: "pd.Series[pd.Timestamp]") -> DesignEffect:
    import pandas as pd

    hours, _ = pd.factorize(times.dt.floor("h"))
    blocks = blocks_of(times)
    return design_effect(groups, blocks)._replace(
        rows_per_day=_per_day(times),
        worst_psi=worst_block_psi(groups, blocks),
        worst_hour_psi=worst_block_psi(groups, hours, fewest_rows=_ROWS_OF_AN_HOUR),
    )


def _score_effect(groups: npt.NDArray[np.intp], times: "pd.Series[pd.Timestamp]") -> DesignEffect:
    return ks_design_effect(groups, blocks_of(times))._replace(rows_per_day=_per_day(times))


def blocks_of(times: "pd.Series[pd.Timestamp]") -> npt.NDArray[np.int64]:
    """Return the block of each row: its day, like a drift report's window, or a twentieth of the time if that is less.

    Shorter blocks miss what lasts (a front passes in a day) and take for drift what comes back every day (each hour has
    its own flights).

    >>> import pandas as pd
    >>> blocks_of(pd.Series(pd.date_range("2013-03-01", periods=60, freq="12h"))).tolist()[:5]
    [0, 0, 1, 1, 2]
    """
    import pandas as pd

    since = (times - times.min()).to_numpy(dtype="timedelta64[us]").astype(np.int64)
    length = min(pd.Timedelta(days=1) // pd.Timedelta(microseconds=1), int(since.max(initial=0)) // _BLOCKS + 1)
    return since // length


def _per_day(times: "pd.Series[pd.Timestamp]") -> float | None:
    """Return the mean number of rows a day; None if all rows came within an hour."""
    days = (times.max() - times.min()).total_seconds() / 86_400 if len(times) else 0.0
    return len(times) / days if days > 1 / 24 else None
