"""Delta Lake as this project uses it. Imports pyarrow and deltalake: import it where it is used."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.records import Role

_ATTEMPTS = 20


def append_once(
    path: Path, schema: pa.Schema, source: str, upto: int, new_rows: Callable[[DeltaTable, int], pa.Table]
) -> int:
    """Append a source's rows up to its number `upto`, unless the table has them; returns how many were appended.

    The number up to which a source was appended is committed with its rows, as an application transaction. It is
    read and written on one snapshot: when somebody else appends from the source meanwhile, the commit is refused,
    and we look again. `new_rows(table, after)` gives the rows that follow number `after`.
    """
    for _ in range(_ATTEMPTS):
        table = _open_or_create(path, schema)
        after = table.transaction_version(source) or 0
        if after >= upto:
            return 0
        rows = new_rows(table, after)
        try:
            write_deltalake(
                table,
                rows,
                mode="append",
                schema_mode="merge",
                commit_properties=CommitProperties(app_transactions=[Transaction(source, upto)]),
            )
        except CommitFailedError:
            continue
        except (DeltaError, OSError) as error:
            raise StorageError(
                f"cannot append to the log at {path}: {error}; nothing is lost, it will be tried again"
            ) from error
        return int(rows.num_rows)
    raise StorageError(
        f"{_ATTEMPTS} appends to {path} were overtaken by others; nothing is lost, it will be tried again"
    )


def open_table(path: Path) -> DeltaTable | None:
    """The table's newest snapshot; None if there is no table yet."""
    return DeltaTable(path) if DeltaTable.is_deltatable(str(path)) else None


def dataset(path: Path, schema: pa.Schema, *, first: date | None = None, last: date | None = None) -> pads.Dataset:
    """The rows of a table, for pyarrow and DuckDB; an empty dataset if there is no table yet.

    Only partitions from `first` to `last` are listed: naming each file of a long log takes longer than reading a day.
    """
    table = open_table(path)
    if table is None:
        return pads.dataset(schema.empty_table())
    bounds = [("date", ">=", first), ("date", "<=", last)]
    days = [(column, operator, day.isoformat()) for column, operator, day in bounds if day is not None]
    return table.to_pyarrow_dataset(partitions=days or None)


def window(since: datetime, until: datetime, roles: Sequence[Role]) -> pads.Expression:
    """since <= event_time < until; names the partitions too, so that others are not opened."""
    since, until = in_utc(since), in_utc(until)
    time, day = pads.field("event_time"), pads.field("date")
    return ((day >= since.date()) & (day <= until.date()) & (time >= since) & (time < until)) & pads.field("role").isin(
        list(roles)
    )


def feature_types(table: DeltaTable) -> dict[str, pa.DataType]:
    """The feature columns that a table has."""
    return {
        field.name: pa.string() if field.type.type == "string" else pa.float64()
        for field in table.schema().fields
        if field.name.startswith("feature_")
    }


def _open_or_create(path: Path, schema: pa.Schema) -> DeltaTable:
    try:
        return open_table(path) or DeltaTable.create(
            path, schema, mode="ignore", partition_by=["date"], configuration={"delta.appendOnly": "true"}
        )
    except (DeltaError, OSError) as error:
        raise StorageError(f"cannot open the log at {path}: {error}") from error
