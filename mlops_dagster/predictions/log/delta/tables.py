"""Reads, writes and upkeep of Delta Lake tables. Imports pyarrow and deltalake: import it where it is used.

Only calls that let other threads run are used: `DeltaTable.is_deltatable`, `QueryBuilder` and the listing of a
`DeltaStorageHandler` keep the interpreter's lock for as long as S3 hangs (measured with deltalake 1.6).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as fs
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.engine.engine import DayFilter
from mlops_dagster.predictions.log import location as place
from mlops_dagster.predictions.log.delta import commits
from mlops_dagster.predictions.log.delta.errors import storage_errors
from mlops_dagster.predictions.log.location import TableAddress
from mlops_dagster.predictions.records import Role
from mlops_dagster.storage.durable import sync_folders

ATTEMPTS = 20

_RECENT = 100  # versions: eight minutes of shipping; the kernel writes files to disk by itself within a minute


class Batch(NamedTuple):
    """Rows to append, and the numbers that the table keeps with them: how far it has each source."""

    rows: pa.Table
    reached: Mapping[str, int]


class Appender:
    """Appends entries of sources, each exactly once; keeps tables open, as opening one reads its newest commits."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[TableAddress, DeltaTable]] = {}

    def append_once(
        self,
        at: TableAddress,
        schema: pa.Schema,
        source: str,
        numbers: range,
        new_rows: Callable[[DeltaTable, int], Batch],
    ) -> int:
        """Append the rows of a source with these numbers, unless the table has them; return how many were appended.

        On return these rows are durable, whichever process appended them. Rows with smaller numbers are assumed to be
        durable.

        The number up to which a source was appended is committed with its rows, as an application transaction. It is
        read and written on one snapshot: if another process appends from the source meanwhile, the commit is refused,
        and the table is read again. `new_rows(table, after)` returns the rows that follow number `after`.
        """
        upto = numbers[-1]
        for _ in range(ATTEMPTS):
            table = self._newest(at, schema, source, numbers[0] - 1)
            after = reached(at, table, source)
            if after >= upto:
                return 0
            batch = new_rows(table, after)
            if append(at, table, batch.rows, {source: upto, **batch.reached}):
                return int(batch.rows.num_rows)
        raise StorageError(
            f"{ATTEMPTS} appends to {at.uri} were overtaken by others; nothing is lost, it will be tried again"
        )

    def _newest(self, at: TableAddress, schema: pa.Schema, source: str, confirmed: int) -> DeltaTable:
        opened_at, table = self._tables.pop(at.uri, (None, None))
        if table is None or opened_at != at:  # other credentials need another handle
            with storage_errors("open", at):
                if at.options is None:
                    commits.mend(Path(at.uri), source, confirmed)
                table = open_or_create(at, schema)
                make_durable(at, table)
        else:
            with storage_errors("open", at):
                known = table.version()
                table.update_incremental()
                make_durable(at, table, known)
        self._tables[at.uri] = at, table
        return table


def append(at: TableAddress, table: DeltaTable, rows: pa.Table, reached: Mapping[str, int]) -> bool:
    """Append to this snapshot, durably; return False if another process has appended from the same sources since.

    Raises StorageError.
    """
    transactions = [Transaction(name, number) for name, number in reached.items()]
    known = table.version()
    with storage_errors("append to", at):
        try:
            write_deltalake(
                table,
                rows,
                mode="append",
                schema_mode="merge",
                commit_properties=CommitProperties(app_transactions=transactions),
            )
        except CommitFailedError:
            return False
        make_durable(at, table, known)
    return True


def make_durable(at: TableAddress, table: DeltaTable, after: int | None = None) -> None:
    """Make the versions after `after` survive a loss of power; None means all that may not be on disk yet."""
    if at.options is not None:
        return  # S3 has it for good
    folder = Path(at.uri)
    if after is None:
        after = max(table.version() - _RECENT, -1)
        sync_folders(folder)
    commits.make_durable(folder, after, table.version())


def reached(at: TableAddress, table: DeltaTable, source: str) -> int:
    """Return the number up to which the table has a source; 0 if it has none of it. Raises StorageError."""
    with storage_errors("read", at):
        return table.transaction_version(source) or 0


def open_table(at: TableAddress) -> DeltaTable | None:
    """Return the table's newest snapshot; None if the table does not exist yet. Raises StorageError."""
    with storage_errors("open", at):
        try:
            return DeltaTable(at.uri, storage_options=at.options)
        except TableNotFoundError:
            return None


def open_or_create(at: TableAddress, schema: pa.Schema) -> DeltaTable:
    """Return the table's newest snapshot, creating the table if there is none. Raises StorageError.

    Statistics are kept of the columns `INDEXED` only, because statistics stay when rows are erased.
    """
    found = open_table(at)
    if found is not None:
        return found
    with storage_errors("create", at):
        try:
            return _create(at, schema)
        except CommitFailedError:  # another process created it at this moment
            if created := open_table(at):
                return created
            raise


def _create(at: TableAddress, schema: pa.Schema) -> DeltaTable:
    return DeltaTable.create(
        at.uri,
        schema,
        mode="ignore",
        partition_by=["date"],
        configuration={
            "delta.appendOnly": "true",
            "delta.logRetentionDuration": "interval 7 days",  # as long as earlier versions can be read
            "delta.dataSkippingStatsColumns": ",".join(name for name in INDEXED if name in schema.names),
        },
        storage_options=at.options,
    )


INDEXED = ("event_time", "received_at", "at", "process", "sequence", "number")
"""Columns by which files are skipped. They hold nothing about a person, unlike ids, which clients choose: the table's
history keeps their statistics for ever.
"""


def dataset(
    at: TableAddress, schema: pa.Schema, *, first: date | None = None, last: date | None = None
) -> pads.Dataset:
    """Return the rows of a table, for pyarrow and DuckDB; an empty dataset if the table does not exist yet.

    Only partitions from `first` to `last` are listed: naming each file of a long log takes longer than reading a day.
    """
    table = open_table(at)
    if table is None:
        return pads.dataset(schema.empty_table())
    return rows_of(at, table, day_filters(first, last))


def day_filters(first: date | None, last: date | None) -> list[DayFilter]:
    """Return the conditions on the partitions of the days from `first` to `last`."""
    bounds = [("date", ">=", first), ("date", "<=", last)]
    return [(column, operator, day.isoformat()) for column, operator, day in bounds if day is not None]


def days_of(table: DeltaTable) -> list[date]:
    """Return the days of which the snapshot has rows, in order."""
    return sorted(set(pa.table(table.get_add_actions(flatten=True))["partition.date"].to_pylist()))


def rows_of(at: TableAddress, table: DeltaTable, days: Sequence[DayFilter] = ()) -> pads.Dataset:
    """Return the rows of this snapshot, of all its days or of those that the filters `days` allow.

    Arrow reads through its own file system: with deltalake's, which is Python, a thread of Arrow may still hold a file
    when the interpreter ends, and kills the process with SIGABRT (seen once in ten ends).
    """
    filesystem: fs.FileSystem
    if at.options is None:
        filesystem = fs.SubTreeFileSystem(at.path, fs.LocalFileSystem())
    else:
        filesystem = fs.SubTreeFileSystem(at.path, _s3(at.options))
    return table.to_pyarrow_dataset(file_pruning_predicate=list(days) or None, filesystem=filesystem)


def _s3(options: Mapping[str, str]) -> fs.FileSystem:
    endpoint = options.get("aws_endpoint_url")
    return fs.S3FileSystem(
        access_key=options["aws_access_key_id"],
        secret_key=options["aws_secret_access_key"],
        session_token=options.get("aws_session_token"),
        region=options["aws_region"],
        endpoint_override=endpoint,
        connect_timeout=place.CONNECT_SECONDS,
        request_timeout=place.TIMEOUT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=place.RETRIES + 1),
    )


def window(since: datetime, until: datetime, roles: Sequence[Role]) -> pads.Expression:
    """Return the filter since <= event_time < until for `roles`; it names the date too, so other days stay unopened."""
    since, until = in_utc(since), in_utc(until)
    time, day = pads.field("event_time"), pads.field("date")
    return ((day >= since.date()) & (day <= until.date()) & (time >= since) & (time < until)) & pads.field("role").isin(
        list(roles)
    )


def feature_types(table: DeltaTable) -> dict[str, pa.DataType]:
    """Return the feature columns of a table, with their Arrow types."""
    return {
        field.name: pa.string() if field.type.type == "string" else pa.float64()
        for field in table.schema().fields
        if field.name.startswith("feature_")
    }
