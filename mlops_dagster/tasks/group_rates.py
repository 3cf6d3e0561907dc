"""Rates by which the groups of an attribute are compared."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class GroupRates(NamedTuple):
    """Rates whose widest difference between two groups is one gap of a fairness audit."""

    gap: str
    """The name of the gap."""
    rates: "pd.DataFrame"
    """A row for each group, and a column for each rate; NaN where a group has no row to take the rate of."""
    rows: "pd.Series[int]"
    """By group, the rows that its rates rest on: a group with too few takes no part in the gap."""
