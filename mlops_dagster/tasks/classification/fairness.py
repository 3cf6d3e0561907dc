"""Selection and error rates of the groups of an attribute, by fairlearn.

Sources: Agarwal et al., ICML 2018, arXiv:1803.02453 (demographic parity); Hardt, Price and Srebro, NIPS 2016,
arXiv:1610.02413 (equalized odds); as fairlearn computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_dagster.tasks.group_rates import GroupRates

if TYPE_CHECKING:
    import pandas as pd

DEMOGRAPHIC_PARITY: Final = "demographic_parity_difference"
"""The gap in selection rates."""
EQUALIZED_ODDS: Final = "equalized_odds_difference"
"""The wider of the gaps in true and in false positive rates."""
SELECTED, RIGHTLY, WRONGLY = "selection_rate", "true_positive_rate", "false_positive_rate"


def class_rates(cells: pd.DataFrame, positive: str | None) -> list[GroupRates]:
    """Return the selection rate and the error rates of the class `positive`; without it the selection rate of each.

    `cells` has the columns true, predicted, group and rows: the number of rows of each combination.
    """
    rows = cells.groupby("group")["rows"].sum()
    if positive is None:
        return [GroupRates(DEMOGRAPHIC_PARITY, _selection_rates(cells), rows)]
    rates = _rates_of_class(cells, positive)
    positives = cells["rows"].where(cells["true"] == positive, 0).groupby(cells["group"]).sum()
    fewer = positives.where(positives < rows - positives, rows - positives)
    return [
        GroupRates(DEMOGRAPHIC_PARITY, rates[[SELECTED]], rows),
        GroupRates(EQUALIZED_ODDS, rates[[RIGHTLY, WRONGLY]], fewer),
    ]


def _rates_of_class(cells: pd.DataFrame, positive: str) -> pd.DataFrame:
    """Return selection, true and false positive rate by group; NaN if the group lacks rows for a rate."""
    import pandas as pd

    is_it, said_it = cells["true"] == positive, cells["predicted"] == positive
    return pd.DataFrame(
        {
            SELECTED: _share(said_it, cells),
            RIGHTLY: _share(said_it, cells[is_it]),
            WRONGLY: _share(said_it, cells[~is_it]),
        }
    )


def _selection_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the selection rate of each class by group.

    Fairlearn knows two classes: asked once a class, 1,000 of them take hours.
    """
    rows = cells.pivot_table(index="group", columns="predicted", values="rows", aggfunc="sum", fill_value=0)
    rows = rows.reindex(columns=sorted({*cells["true"], *cells["predicted"]}), fill_value=0)
    return rows.div(rows.sum(axis=1), axis=0).add_prefix(f"{SELECTED}[").add_suffix("]")


def _share(chosen: pd.Series[bool], cells: pd.DataFrame) -> pd.Series[float]:
    """Return the share of chosen rows among these cells' rows, by group."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, selection_rate

    if cells.empty:
        return pd.Series(dtype=float)
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=cells["true"],
        y_pred=chosen[cells.index].astype(int),
        sensitive_features=cells["group"],
        sample_params={"sample_weight": cells["rows"]},
    )
    found: pd.Series[float] = frame.by_group
    return found
