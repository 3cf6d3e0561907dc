"""Differences of a version's results between the groups of an attribute, by fairlearn."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.registry.cards.parts import Metrics, NonNegative, Share
from mlops_dagster.statistics.bins.columns import Column, as_objects, is_missing

if TYPE_CHECKING:
    import pandas as pd

MIN_GROUP_ROWS = 30  # a share of 90 % seen in 30 rows is known to 11 points either way; in fewer it is a guess
MISSING_GROUP = "(missing)"
MOST_RATES = 20
"""Of 1,000 classes and as many groups a million selection rates would be nobody's reading, and 40 MB of a card."""

ACCURACY = "accuracy"
DEMOGRAPHIC_PARITY = "demographic_parity_difference"
EQUALIZED_ODDS = "equalized_odds_difference"

SELECTED, RIGHTLY, WRONGLY = "selection_rate", "true_positive_rate", "false_positive_rate"


class FairnessAudit(StrictModel):
    """The comparison of the groups of one attribute.

    A gap is the highest value of a metric in any group less the lowest, 0 to 1. Groups with too few rows do not count
    for it, and are listed in `left_out`.
    """

    attribute: str
    groups: dict[str, Metrics]
    """By group: `rows`, `accuracy`, and the rates for which the group has rows."""
    max_gap: Share | None
    """The gap in accuracy; None if fewer than two groups have enough rows, so that nothing was compared."""
    note: str = ""
    positive: str | None = None
    """The class that the rates are about; None if each class has its own selection rate."""
    gaps: dict[str, Share] = Field(default_factory=dict)
    """`accuracy`; `demographic_parity_difference`, in selection rates; `equalized_odds_difference`, the wider of
    those in true and in false positive rates. One that fewer than two groups have the rows for is left out."""
    min_group_rows: NonNegative = 0
    """The least rows with which a group takes part; for the equalized odds, of each truth."""
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
) -> FairnessAudit:
    """Compare the groups of an attribute by accuracy, selection rate and error rates.

    With `positive`, the class whose prediction matters to people, come the rates at which it is predicted
    (`selection_rate`), rightly (`true_positive_rate`) and wrongly (`false_positive_rate`), against all other
    classes; a group without a row to take a rate of has none. Without `positive`, as for three classes of equal
    rank, comes the selection rate of each class; of more than `MOST_RATES` classes, of those whose rates are farthest
    apart. The gap is over all of them. A missing group is a group: "(missing)".

    Raises InvalidInputError for no rows, unequal lengths, missing labels, and `min_group_rows` under 1.

    >>> audit = audit_fairness(
    ...     ["late", "late", "ok", "ok"] * 20, ["late", "ok", "ok", "ok"] * 20, ["AA", "UA", "AA", "UA"] * 20,
    ...     attribute="carrier", positive="late", min_group_rows=20,
    ... )
    >>> audit.groups["UA"]
    {'rows': 40.0, 'accuracy': 0.5, 'selection_rate': 0.0, 'true_positive_rate': 0.0, 'false_positive_rate': 0.0}
    >>> audit.gaps
    {'accuracy': 0.5, 'demographic_parity_difference': 0.5, 'equalized_odds_difference': 1.0}

    Sources: Agarwal et al., ICML 2018, arXiv:1803.02453 (demographic parity); Hardt, Price and Srebro, NIPS 2016,
    arXiv:1610.02413 (equalized odds); as fairlearn computes them.
    """
    if min_group_rows < 1:
        raise InvalidInputError(f"a group cannot be judged on less than one row, got min_group_rows={min_group_rows}")
    cells = _cells(y_true, y_pred, groups)
    rows = cells.groupby("group")["rows"].sum()
    rates = _rates_of_all(cells) if positive is None else _rates_of(cells, positive)
    table = rows.to_frame().assign(accuracy=_share(cells["true"] == cells["predicted"], cells)).join(rates)

    enough = rows >= min_group_rows
    compared = {ACCURACY: (enough, [ACCURACY])}
    compared[DEMOGRAPHIC_PARITY] = (enough, [name for name in map(str, rates) if name.startswith(SELECTED)])
    if positive is not None:
        positives = cells["rows"].where(cells["true"] == positive, 0).groupby(cells["group"]).sum()
        of_each_truth = (positives >= min_group_rows) & (rows - positives >= min_group_rows)
        compared[EQUALIZED_ODDS] = (of_each_truth, [RIGHTLY, WRONGLY])
    spreads = {gap: _spreads(table.loc[judged, names]) for gap, (judged, names) in compared.items()}
    gaps = {gap: float(spreads[gap].max()) for gap, (judged, _) in compared.items() if judged.sum() > 1}
    if positive is None:
        table = table.drop(columns=spreads[DEMOGRAPHIC_PARITY].sort_values(ascending=False).index[MOST_RATES:])
    return FairnessAudit(
        attribute=attribute,
        groups={
            str(group): {str(name): float(value) for name, value in row.dropna().items()}
            for group, row in table.iterrows()
        },
        max_gap=gaps.get(ACCURACY),
        positive=positive,
        gaps=gaps,
        min_group_rows=min_group_rows,
        left_out={gap: tuple(judged.index[~judged]) for gap, (judged, _) in compared.items() if not judged.all()},
    )


def _cells(y_true: Column, y_pred: Column, groups: Column) -> pd.DataFrame:
    """Return the number of rows (`rows`) of each combination of true, predicted and group, all as strings.

    fairlearn gets equal rows as one row with a weight: 12,000 single rows take it five times as long.
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


def _rates_of(cells: pd.DataFrame, positive: str) -> pd.DataFrame:
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


def _rates_of_all(cells: pd.DataFrame) -> pd.DataFrame:
    """By group: the selection rate of each class. Fairlearn knows two classes: asked once a class, 1,000 take hours."""
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


def _spreads(rates: pd.DataFrame) -> pd.Series[float]:
    """Of each rate, its highest value in any group less its lowest."""
    return rates.max() - rates.min()
