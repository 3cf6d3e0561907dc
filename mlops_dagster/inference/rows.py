"""Rows as estimators accept them: one column per feature, with one kind of null."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics.bins.columns import Column, as_numbers

if TYPE_CHECKING:
    import pandas as pd

Null: TypeAlias = float | None
"""The null of a categorical feature: NaN or None. scikit-learn's encoders take these for two different categories."""

NULL: Final[Null] = math.nan
"""The null that estimators are fitted with and given.

It is NaN because scikit-learn's encoders and imputers take NaN as missing, and None as a category like any other.
"""

_ALL_NAN: Final[Mapping[str, Null]] = MappingProxyType({})

Array: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.object_]


Values: TypeAlias = "Column | Sequence[float | str | None]"


class Columns(Protocol):
    """Values by the name of the feature: a mapping, or a DataFrame."""

    def __getitem__(self, name: str, /) -> Values: ...


def features_frame(schema: ModelSchema, columns: Columns, nulls: Mapping[str, Null] = _ALL_NAN) -> "pd.DataFrame":
    """Return the rows with one column per feature, in the order of the schema: float64, or object with its null.

    The null of a categorical feature is the one in `nulls`, else NaN. Estimators are fitted on such frames and score
    such frames. A frame's index is kept, for estimators that match rows with labels by it. Raises InvalidInputError for
    a value of a numeric feature that is not a number.

    >>> from mlops_dagster.schema import Feature, ModelSchema
    >>> from mlops_dagster.tasks import Classification
    >>> features = (Feature(name="hour", kind="numeric"), Feature(name="carrier", kind="categorical"))
    >>> schema = ModelSchema(features=features, task=Classification(classes=("on_time", "late")))
    >>> features_frame(schema, {"carrier": ["AA", None], "hour": [7, None]}).to_numpy().tolist()
    [[7.0, 'AA'], [nan, nan]]
    """
    import pandas as pd

    arrays = {each.name: _column(each, columns[each.name], nulls.get(each.name, NULL)) for each in schema.features}
    return pd.DataFrame(arrays, index=getattr(columns, "index", None))


def features_matrix(schema: ModelSchema, columns: Columns) -> npt.NDArray[np.float64]:
    """Return the rows of a schema with numeric features only, as float64 of shape (rows, features)."""
    lists = [columns[name] for name in schema.names]
    try:
        return np.array(cast("Column", lists), dtype=np.float64).T
    except (TypeError, ValueError):
        return np.array([_numbers(values) for values in lists]).T


def _column(feature: Feature, values: Values, null: Null) -> Array:
    if feature.kind == "numeric":
        return _numbers(values)
    import pandas as pd

    texts = np.array(values, dtype=np.object_)
    texts[pd.isna(texts)] = null
    return texts


def _numbers(values: Values) -> npt.NDArray[np.float64]:
    try:
        return np.array(cast("Column", values), dtype=np.float64)
    except (TypeError, ValueError):  # numpy accepts neither dates nor pandas.NA as numbers
        return as_numbers(cast("Column", values))
