"""Reads, writes and upkeep of Delta Lake tables. Imports pyarrow and deltalake: import it where it is used.

Only calls that let other threads run are used: `DeltaTable.is_deltatable`, `QueryBuilder` and the listing of a
`DeltaStorageHandler` keep the interpreter's lock for as long as S3 hangs (measured with deltalake 1.6).
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as fs
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import CorruptedError, MlopsError, StorageError, is_panic
from mlops_dagster.predictions.log import commits
from mlops_dagster.predictions.log import location as place
from mlops_dagster.predictions.log.location import TableAddress
from mlops_dagster.predictions.records import Role
from mlops_dagster.storage.durable import sync_folders

ATTEMPTS = 20

_FENCE = "mlops.fence"

_RECENT = 100  # versions: eight minutes of shipping; the kernel writes files to disk by itself within a minute

_FILE_BYTES = 64 << 20
_WRITER = WriterProperties(compression="ZSTD", max_row_group_size=1 << 16)
_SMALL_FILES = 32


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
    bounds = [("date", ">=", first), ("date", "<=", last)]
    days = [(column, operator, day.isoformat()) for column, operator, day in bounds if day is not None]
    return rows_of(at, table, days)


def tidy(at: TableAddress) -> None:
    """Merge small files, make a checkpoint, and remove the files that no version of the last week needs.

    Past days are merged as soon as they have two small files; the newest day, only when it has `_SMALL_FILES`. Rows
    keep their order, so each part of a file covers some hours. A merge that another process overtakes is left to the
    next call. Raises StorageError.
    """
    table = open_table(at)
    if table is None:
        return
    with storage_errors("tidy", at):
        if not _crowded(table):
            return
        table = fenced(at)
        days = _crowded(table)
        try:
            table.optimize.compact(
                [("date", "in", days)],
                target_size=_FILE_BYTES,
                max_concurrent_tasks=1,  # memory for one file
                writer_properties=_WRITER,
            )
        except CommitFailedError:
            return
        table.create_checkpoint()
        make_durable(at, table)
        if table.vacuum(full=True, dry_run=True):
            table.vacuum(full=True, dry_run=False)


@contextmanager
def deletable(at: TableAddress) -> Iterator[DeltaTable]:
    """Hold a table open for deletions: yield its newest snapshot, and make the table append-only again at the end.

    A process killed meanwhile leaves the table open for deletions: the audit reports an erasure that did not finish,
    and the next erasure closes it.
    """
    table = fenced(at, append_only="false")
    try:
        yield table
    finally:
        fenced(at)


def fenced(at: TableAddress, *, append_only: Literal["true", "false"] = "true") -> DeltaTable:
    """Fence off earlier snapshots, whose commits fail from now on; return the newest, for one change of its files.

    delta-rs does not treat two compactions of one snapshot as a conflict: both commit, and every row is there twice.
    But no commit succeeds over a change of the metadata. So each compaction begins with such a change, and of two
    compactions only the later one commits.
    """
    for _ in range(ATTEMPTS):
        table = DeltaTable(at.uri, storage_options=at.options)
        try:
            table.alter.set_table_properties(
                {"delta.appendOnly": append_only, _FENCE: uuid.uuid4().hex}, raise_if_not_exists=False
            )
        except CommitFailedError:  # an append that brings a new column changes the metadata too
            continue
        return table
    raise StorageError(f"{ATTEMPTS} changes of {at.uri} were overtaken by others; try again")


def replace_day(at: TableAddress, table: DeltaTable, day: date, rows: pa.RecordBatchReader) -> bool:
    """Replace the rows of a day, durably; return False if others changed the table since this snapshot.

    `DeltaTable.delete` cannot be used: it leaves files whose strings pyarrow cannot filter (string views, 1.6).
    """
    known = table.version()
    try:
        write_deltalake(table, rows, mode="overwrite", predicate=f"date = '{day}'", writer_properties=_WRITER)
    except CommitFailedError:
        return False
    make_durable(at, table, known)
    return True


def remove_erased_files(at: TableAddress) -> None:
    """Remove all files that the newest version does not need; earlier versions of the table can no longer be read.

    Files that a killed append left within the last hour are removed by `tidy`, within a week: they cannot be told from
    files of an append that is under way.
    """
    table = open_table(at)
    if table is None:
        return
    with storage_errors("remove files of", at):
        make_durable(at, table)  # or a loss of power would leave versions whose files are gone
        # Files in no version belong to an append that is under way, or was killed: after an hour it was killed.
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        table.vacuum(retention_hours=1, enforce_retention_duration=False, dry_run=False, full=True)


def _crowded(table: DeltaTable) -> list[str]:
    files = pa.table(table.get_add_actions(flatten=True))
    small: Counter[str] = Counter()
    for day, size in zip(files["partition.date"].to_pylist(), files["size_bytes"].to_pylist(), strict=True):
        small[day.isoformat()] += size < _FILE_BYTES // 2
    newest = max(small, default="")
    return sorted(day for day, count in small.items() if count >= (_SMALL_FILES if day == newest else 2))


def days_of(table: DeltaTable) -> list[date]:
    """Return the days of which the snapshot has rows, in order."""
    return sorted(set(pa.table(table.get_add_actions(flatten=True))["partition.date"].to_pylist()))


def rows_of(at: TableAddress, table: DeltaTable, days: Sequence[tuple[str, str, str]] = ()) -> pads.Dataset:
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


@contextmanager
def storage_errors(verb: str, at: TableAddress) -> Iterator[None]:
    """Translate errors of deltalake into StorageError, or into CorruptedError for a file that is gone or damaged."""
    try:
        yield
    except MlopsError:
        raise
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise CorruptedError(
            f"a file of the log at {at.uri} is gone or damaged: {_line(error)}; if it was erased just now, try again, "
            "else `mlops predictions audit` names what is lost"
        ) from error
    except (DeltaError, OSError) as error:
        if at.options is None and (found := commits.damage(Path(at.uri))) is not None:
            raise CorruptedError(
                f"cannot {verb} the log at {at.uri}: {found}; `mlops serve` mends it where that loses nothing when it "
                "ships to it next, and else says how to go on"
            ) from error
        raise StorageError(
            f"cannot {verb} the log at {at.uri}: {_line(error)}; nothing is lost, it will be tried again"
        ) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise StorageError(
            f"cannot {verb} the log at {at.uri}: the Delta library broke off ({_line(error)}); nothing is lost, it "
            "will be tried again"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).replace("\x1b[31m↳\x1b[0m", "").split())
