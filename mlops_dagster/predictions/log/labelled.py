"""Rows of predictions joined with their labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_dagster.errors import StorageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as pads

# A label belongs to the row whose request it names: other requests may have the same id. The valid label is the one
# that became known last; of several, the one that came last.
_WITH_LABELS = """
SELECT $model AS model, rows.*, label, labelled_at
FROM rows LEFT JOIN (
    SELECT prediction_id, request, label, "at" AS labelled_at FROM labels WHERE model = $model
    QUALIFY row_number() OVER (
        PARTITION BY prediction_id, request ORDER BY "at" DESC, received_at DESC, number DESC
    ) = 1
) USING (prediction_id, request)
ORDER BY event_time, process, sequence
"""


def with_labels(model: str, rows: "pa.Table", labels: "pads.Dataset | pa.Table") -> "pa.Table":
    """Return these rows of a model, each with its valid label and the time of that; null without one."""
    with duckdb_with(labels) as connection:
        connection.register("rows", rows)
        return connection.sql(_WITH_LABELS, params={"model": model}).to_arrow_table()


@contextmanager
def duckdb_with(labels: "pads.Dataset | pa.Table") -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open DuckDB with the table `labels`. Raises StorageError."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("labels", labels)
        try:
            yield connection
        except duckdb.Error as error:
            raise StorageError(f"the labels of the log cannot be read: {error}; try again") from error
