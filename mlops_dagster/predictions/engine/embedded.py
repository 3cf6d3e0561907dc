"""The embedded engine: DuckDB in this process, with a limit of memory, over which it goes on on disk."""

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mlops_dagster.errors import CorruptedError, StorageError
from mlops_dagster.predictions.engine.engine import Source, Statement, Stored

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_MB: Final = 500
"""The limit of DuckDB's buffers. The process needs some 300 MB more, for what DuckDB does not count and for Arrow."""
_GONE: Final = "No files found"
"""Part of DuckDB's message for a file that is not there; it has the same class of error for a disk that is full."""
_TYPES: Final = {"string": "VARCHAR", "double": "DOUBLE"}
"""Of features; further outputs are lists of doubles."""


class EmbeddedEngine:
    """Runs statements by DuckDB.

    Files on disk are read by DuckDB itself. Those on S3 are read by Arrow, as DuckDB's own S3 client is an extension
    that it would download.
    """

    def run(self, statement: Statement) -> "pa.Table":
        """Return the result of the statement, see `Engine`."""
        with _connected() as connection:
            for name, source in statement.tables.items():
                _relation(connection, source).create_view(name)
            return connection.sql(statement.text, params=list(statement.parameters)).to_arrow_table()


def _relation(connection: "duckdb.DuckDBPyConnection", source: Source) -> "duckdb.DuckDBPyRelation":
    rows = _rows(connection, source.rows)
    missing = {} if not isinstance(source.rows, Stored) else _missing(source.rows, rows.columns)
    columns = ((name, missing.get(column) or _quoted(column)) for name, column in source.columns.items())
    return rows.project(", ".join(f"{column} AS {name}" for name, column in columns))


def _rows(connection: "duckdb.DuckDBPyConnection", rows: "Stored | pa.Table") -> "duckdb.DuckDBPyRelation":
    if not isinstance(rows, Stored):
        return connection.from_arrow(rows)
    from mlops_dagster.predictions.log.delta import tables as delta

    files = rows.table.file_uris(file_pruning_predicate=list(rows.days) or None)
    if rows.at.options is not None or not files:
        return connection.from_arrow(delta.rows_of(rows.at, rows.table, rows.days))
    return connection.read_parquet(
        [glob.escape(unquote(file)) for file in files],
        union_by_name=True,  # features come one by one
        hive_partitioning=True,
    )


def _missing(rows: Stored, known: list[str]) -> dict[str, str]:
    """Return a null for each column that no file of these days has."""
    kinds = {field.name: str(field.type.type) for field in rows.table.schema().fields}
    return {name: f"CAST(NULL AS {_TYPES.get(kind, 'DOUBLE[]')})" for name, kind in kinds.items() if name not in known}


def _quoted(column: str) -> str:
    return '"{}"'.format(column.replace('"', '""'))


@contextmanager
def _connected() -> Iterator["duckdb.DuckDBPyConnection"]:
    import duckdb

    with tempfile.TemporaryDirectory(prefix="mlops-engine-") as folder, duckdb.connect() as connection:
        connection.execute(
            f"SET TimeZone = 'UTC'; SET temp_directory = '{folder}'; SET memory_limit = '{MEMORY_MB}MB'; "
            "SET preserve_insertion_order = false"
        )
        try:
            yield connection
        except duckdb.Error as error:
            line = " ".join(str(error).split())
            if isinstance(error, duckdb.InvalidInputException) or _GONE in line:
                raise CorruptedError(
                    f"a file of the log is gone or damaged: {line}; if it was erased just now, try again, else "
                    "`mlops predictions audit` names what is lost"
                ) from error
            raise StorageError(f"the log cannot be read: {line}; make room in TMPDIR, or try again") from error
