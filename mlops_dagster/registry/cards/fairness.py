"""Differences of a version's results between the groups of an attribute."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.registry.cards.parts import Metrics, NonNegative, Share
from mlops_dagster.statistics.bins.columns import Column, as_objects, is_missing
from mlops_dagster.tasks import UNKNOWN_TASK, GroupRates, Task

if TYPE_CHECKING:
    import pandas as pd

MIN_GROUP_ROWS = 30  # a share of 90 % seen in 30 rows is known to 11 points either way; in fewer it is a guess
MISSING_GROUP = "(missing)"
MOST_RATES = 20
"""A gap may have a rate for each of 1,000 classes: a million rates of as many groups would be 40 MB of a card."""


class FairnessAudit(StrictModel):
    """The comparison of the groups of one attribute.

    A gap is the highest value of a metric in any group less the lowest, 0 to 1. Groups with too few rows do not count
    for it, and are listed in `left_out`.
    """

    attribute: str
    groups: dict[str, Metrics]
    """By group: `rows`, the task's merit, such as `accuracy`, and its rates for which the group has rows."""
    max_gap: Share | None
    """The gap in the merit; None if fewer than two groups have enough rows, so that nothing was compared."""
    note: str = ""
    positive: str | None = None
    """The truth that the rates are about; None if they are of all truths alike."""
    gaps: dict[str, Share] = Field(default_factory=dict)
    """The gap in the merit, by its name, and those in the task's rates, such as `demographic_parity_difference`. One
    that fewer than two groups have the rows for is left out."""
    min_group_rows: NonNegative = 0
    """The least rows with which a group takes part; for some rates, of each truth."""
    left_out: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By gap, the groups with too few rows for it."""


def audit_fairness(
    y_true: Column,
    y_pred: Column,
    groups: Column,
    *,
    attribute: str,
    positive: str | None = None,
    min_group_rows: int = MIN_GROUP_ROWS,
    task: Task = UNKNOWN_TASK,
) -> FairnessAudit:
    """Compare the groups of an attribute by the merit of `task`, and by its rates.

    The merit of a classification is accuracy. With `positive`, the class whose prediction matters to people, come the
    rates at which it is predicted (`selection_rate`), rightly (`true_positive_rate`) and wrongly
    (`false_positive_rate`), against all other classes; a group without a row to take a rate of has none. Without
    `positive`, as for three classes of equal rank, comes the selection rate of each class; of more than `MOST_RATES`
    classes, of those whose rates are farthest apart. The gap is over all of them. A missing group is a group:
    "(missing)".

    Raises InvalidInputError for no rows, unequal lengths, missing labels, and `min_group_rows` under 1.

    >>> audit = audit_fairness(
    ...     ["late", "late", "ok", "ok"] * 20, ["late", "ok", "ok", "ok"] * 20, ["AA", "UA", "AA", "UA"] * 20,
    ...     attribute="carrier", positive="late", min_group_rows=20,
    ... )
    >>> audit.groups["UA"]
    {'rows': 40.0, 'accuracy': 0.5, 'selection_rate': 0.0, 'true_positive_rate': 0.0, 'false_positive_rate': 0.0}
    >>> audit.gaps
    {'accuracy': 0.5, 'demographic_parity_difference': 0.5, 'equalized_odds_difference': 1.0}
    """
    if min_group_rows < 1:
        raise InvalidInputError(f"a group cannot be judged on less than one row, got min_group_rows={min_group_rows}")
    cells = _cells(y_true, y_pred, groups)
    rows = cells.groupby("group")["rows"].sum()
    lost = cells["rows"] * task.losses(cells["predicted"].to_numpy(), cells["true"].to_numpy())
    merit = (rows - lost.groupby(cells["group"]).sum()) / rows
    compared = [GroupRates(task.merit, merit.to_frame(task.merit), rows), *task.group_rates(cells, positive)]
    table, gaps, left_out = rows.to_frame(), {}, {}
    for each in compared:
        judged = each.rows.index[each.rows >= min_group_rows]
        spreads = _spreads(each.rates.loc[judged])
        if len(judged) > 1:
            gaps[each.gap] = float(spreads.max())
        if len(judged) < len(rows):
            left_out[each.gap] = tuple(each.rows.index.difference(judged, sort=False))
        farthest = spreads.sort_values(ascending=False).index[:MOST_RATES]
        table = table.join(each.rates[[name for name in each.rates if name in farthest]])
    return FairnessAudit(
        attribute=attribute,
        groups={
            str(group): {str(name): float(value) for name, value in row.dropna().items()}
            for group, row in table.iterrows()
        },
        max_gap=gaps.get(task.merit),
        positive=positive,
        gaps=gaps,
        min_group_rows=min_group_rows,
        left_out=left_out,
    )


def _cells(y_true: Column, y_pred: Column, groups: Column) -> pd.DataFrame:
    """Return the number of rows (`rows`) of each combination of true, predicted and group, all as strings.

    Equal rows are one row with a weight: 12,000 single rows take fairlearn five times as long.
    """
    import pandas as pd

    columns = {"true": as_objects(y_true), "predicted": as_objects(y_pred), "group": as_objects(groups)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1 or not lengths["true"]:
        raise InvalidInputError(f"each row needs a true label, a predicted one and a group, got {lengths}")
    found: Counter[tuple[str, str, str]] = Counter()
    for (true, predicted, group), count in Counter(zip(*columns.values(), strict=True)).items():
        if is_missing(true) or is_missing(predicted):
            raise InvalidInputError("some labels are missing; leave out the rows that have no truth yet")
        found[text_of(true), text_of(predicted), MISSING_GROUP if is_missing(group) else str(group)] += count
    return pd.DataFrame([[*cell, count] for cell, count in sorted(found.items())], columns=[*columns, "rows"])


def _spreads(rates: pd.DataFrame) -> pd.Series[float]:
    """Return of each rate its highest value in any group less its lowest."""
    return rates.max() - rates.min()
