"""A whylogs profile of Arrow columns. Imports whylogs, which takes seconds: import it where it is used.

The usual entry point, `whylogs.log(frame)`, looks at each value in Python to find its type (150 ms for 40 rows) and
fails with numpy 2 (`np.unicode_`). The log knows the types of its columns, so each column goes directly to the metrics
that whylogs keeps for its type.
"""

import os
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

# Set before whylogs is imported: from then on it sends usage data to its makers.
os.environ.setdefault("WHYLOGS_NO_ANALYTICS", "True")

# whylogs has annotations and no py.typed.
from whylogs.core.metrics import Metric, StandardMetric  # type: ignore[import-untyped]
from whylogs.core.preprocessing import PreprocessedColumn  # type: ignore[import-untyped]
from whylogs.core.view.column_profile_view import ColumnProfileView  # type: ignore[import-untyped]
from whylogs.core.view.dataset_profile_view import DatasetProfileView  # type: ignore[import-untyped]

# The metrics of whylogs' StandardResolver, without the range of unicode characters of a text.
_OF_NUMBERS = (StandardMetric.counts, StandardMetric.types, StandardMetric.cardinality, StandardMetric.distribution)
_OF_TEXTS = (*_OF_NUMBERS, StandardMetric.frequent_items)


class Profile:
    """A whylogs profile that grows with each tracked table of the same columns, by the new values in their sketches."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Metric]] = {}

    def track(self, rows: pa.Table) -> None:
        """Add rows to the profile; missing values are counted as missing."""
        for name in rows.column_names:
            values = rows[name]
            texts = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
            if name not in self._columns:
                self._columns[name] = [metric.value.zero() for metric in (_OF_TEXTS if texts else _OF_NUMBERS)]
            column = PreprocessedColumn()
            column.len, column.null_count = len(values), values.null_count
            known = values.drop_null()
            if texts:
                column.list.strings = known.to_pylist()
            else:
                column.numpy.floats = pc.cast(known, pa.float64()).to_numpy()
            for metric in self._columns[name]:
                metric.columnar_update(column)

    def serialize(self, hour: datetime, about: Mapping[str, str]) -> bytes:
        """Return the bytes that `whylogs.read` reads, stamped with the hour of the rows."""
        columns = {
            name: ColumnProfileView({metric.namespace: metric for metric in metrics})
            for name, metrics in self._columns.items()
        }
        view = DatasetProfileView(
            columns=columns, dataset_timestamp=hour, creation_timestamp=hour, metadata=dict(about)
        )
        return bytes(view.serialize())
