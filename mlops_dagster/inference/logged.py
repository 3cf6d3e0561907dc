"""Features in the log: the column that has the values of a feature, by its kind.

A column of the log keeps its type for good, and Delta takes names that differ only in case for one. The first kind seen
under a name has the column `feature_x`; values of the other kind, or of `X`, have another column of
`names.log_columns`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from mlops_dagster.inference.rows import Array
from mlops_dagster.names import NUMBER, TEXT, log_columns
from mlops_dagster.schema import Feature
from mlops_dagster.statistics import Bins, NumericBins

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

Value: TypeAlias = float | str | None


def feature_of(name: str, bins: Bins) -> Feature:
    """Return the feature that these bins count."""
    return Feature(name=name, kind="numeric" if isinstance(bins, NumericBins) else "categorical")


def columns_of(feature: Feature) -> tuple[str, str, str]:
    """Return the possible columns of `feature` in order: its values are in the first existing one of its kind.

    >>> columns_of(Feature(name="gate", kind="categorical"))[:2]
    ('feature_gate', 'feature_gate__text')
    """
    return log_columns(feature.name, NUMBER if feature.kind == "numeric" else TEXT)


def arrow_column(rows: "pa.Table | pa.RecordBatch", feature: Feature) -> "pa.ChunkedArray | pa.Array | None":
    """Return the values of `feature` in rows of the log, null where not given; None if the log lacks its column."""
    from mlops_dagster.predictions.log.columns import feature_column

    name = feature_column(rows.schema, feature.name, numeric=feature.kind == "numeric")
    return None if name is None else rows[name]


def column_of(rows: "pa.Table | pa.RecordBatch", feature: Feature) -> Array:
    """Return the values of `feature` in rows of the log: float64 with NaN, or object with None, where not given."""
    import pyarrow as pa

    found = arrow_column(rows, feature)
    if found is None:
        return np.full(rows.num_rows, np.nan if feature.kind == "numeric" else None, dtype=_dtype(feature))
    values: Array = found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(zero_copy_only=False)
    return values


def text_column(rows: "pa.Table", name: str) -> "npt.NDArray[np.object_] | None":
    """Return the values of a feature of either kind as texts, as slices of a card name them; None if never logged.

    >>> import pyarrow as pa
    >>> text_column(pa.table({"feature_gate": [7.0, None, None], "feature_gate__text": [None, "B4", None]}), "gate")
    array(['7.0', 'B4', None], dtype=object)
    """
    numbers = arrow_column(rows, Feature(name=name, kind="numeric"))
    texts = arrow_column(rows, Feature(name=name, kind="categorical"))
    if numbers is None and texts is None:
        return None
    found = np.full(rows.num_rows, None, dtype=np.object_) if texts is None else texts.to_numpy().copy()
    if numbers is not None:
        values = numbers.to_numpy()
        known = ~np.isnan(values)
        found[known] = [str(value) for value in values[known].tolist()]
    return found


def logged_value(row: Mapping[str, object], feature: Feature) -> Value:
    """Return the value of `feature` in one row of the log; None if it was not given."""
    kind = float if feature.kind == "numeric" else str
    for name in columns_of(feature):
        if isinstance(value := row.get(name), kind):
            return cast("Value", value)
    return None


def _dtype(feature: Feature) -> type[np.float64] | type[np.object_]:
    return np.float64 if feature.kind == "numeric" else np.object_
