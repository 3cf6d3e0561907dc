"""Delta Lake as this project uses it. Imports pyarrow and deltalake: import it where it is used.

Here are only calls that let other threads run: `DeltaTable.is_deltatable`, `QueryBuilder` and the listing of a
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

_RECENT = 100  # versions: eight minutes of shipping, and what is older than one the kernel has written by itself

_FILE_BYTES = 64 << 20
_WRITER = WriterProperties(compression="ZSTD", max_row_group_size=1 << 16)
_SMALL_FILES = 32


class Batch(NamedTuple):
    """Rows to append, and numbers that the table keeps with them: how far it has which source."""

    rows: pa.Table
    reached: Mapping[str, int]


class Appender:
    """Appends from sources, exactly once each; keeps its tables open, for to open one is to read its newest commits."""

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
        """Append a source's rows of these numbers, unless the table has them; returns how many were appended.

        On return they are durable, whoever appended them. What comes before them is taken to be so.

        The number up to which a source was appended is committed with its rows, as an application transaction. It is
        read and written on one snapshot: when somebody else appends from the source meanwhile, the commit is refused,
        and we look again. `new_rows(table, after)` gives the rows that follow number `after`.
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
    """Append to this snapshot, durably; False if somebody else has appended from the same sources since.

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
    """Have what follows version `after` survive a loss of power; None is all that is not on disk for long anyway."""
    if at.options is not None:
        return  # S3 has it for good
    folder = Path(at.uri)
    if after is None:
        after = max(table.version() - _RECENT, -1)
        sync_folders(folder)
    commits.make_durable(folder, after, table.version())


def reached(at: TableAddress, table: DeltaTable, source: str) -> int:
    """The number up to which the table has a source; 0 if it knows nothing of it. Raises StorageError."""
    with storage_errors("read", at):
        return table.transaction_version(source) or 0


def open_table(at: TableAddress) -> DeltaTable | None:
    """The table's newest snapshot; None if there is no table yet. Raises StorageError."""
    with storage_errors("open", at):
        try:
            return DeltaTable(at.uri, storage_options=at.options)
        except TableNotFoundError:
            return None


def open_or_create(at: TableAddress, schema: pa.Schema) -> DeltaTable:
    """The table's newest snapshot. Statistics are kept of `INDEXED` only: they stay when rows are erased."""
    found = open_table(at)
    if found is not None:
        return found
    with storage_errors("create", at):
        try:
            return _create(at, schema)
        except CommitFailedError:  # somebody else created it at this moment
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
"""Columns by which files are skipped. Nothing of a person is in them, as in ids, which clients choose: the table's
history keeps what they held."""


def dataset(
    at: TableAddress, schema: pa.Schema, *, first: date | None = None, last: date | None = None
) -> pads.Dataset:
    """The rows of a table, for pyarrow and DuckDB; an empty dataset if there is no table yet.

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

    Days that are over are merged as soon as they have two small files; in the newest one, and where rows arrive late,
    `_SMALL_FILES` may wait. Rows keep their order, so a file's parts are hours. A merge that somebody else overtakes
    is left to the next time. Raises StorageError.
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
    """The newest snapshot of a table from which rows may be deleted, for as long as this lasts.

    Who is killed meanwhile leaves it so: the audit says that an erasure did not finish, and the next one mends it.
    """
    table = fenced(at, append_only="false")
    try:
        yield table
    finally:
        fenced(at)


def fenced(at: TableAddress, *, append_only: Literal["true", "false"] = "true") -> DeltaTable:
    """The table's newest snapshot, for one change of its files: who works on an earlier one is refused from now on.

    To delta-rs two compactions of one snapshot are no conflict, and both of them commit: every row is there twice. But
    nobody commits over a change of the metadata. So each compaction begins with one, and of two the later counts.
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
    """Have only these rows on a day, durably; False if others changed the table since this snapshot.

    `DeltaTable.delete` is not for us: it leaves files whose strings pyarrow cannot filter (string views, 1.6).
    """
    known = table.version()
    try:
        write_deltalake(table, rows, mode="overwrite", predicate=f"date = '{day}'", writer_properties=_WRITER)
    except CommitFailedError:
        return False
    make_durable(at, table, known)
    return True


def remove_erased_files(at: TableAddress) -> None:
    """Remove all files that the newest version does not need; the table cannot be read as it was before.

    What an append that was killed within the last hour has left goes with `tidy`, within a week: it cannot be told from
    one that is under way.
    """
    table = open_table(at)
    if table is None:
        return
    with storage_errors("remove files of", at):
        make_durable(at, table)  # else a loss of power leaves versions whose files are gone
        # Files that are in no version belong to an append that is under way now, or was killed: an hour tells.
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
    """The days of which the snapshot has rows, in order."""
    return sorted(set(pa.table(table.get_add_actions(flatten=True))["partition.date"].to_pylist()))


def rows_of(at: TableAddress, table: DeltaTable, days: Sequence[tuple[str, str, str]] = ()) -> pads.Dataset:
    """The rows of this snapshot.

    Arrow reads by a file system of its own: with deltalake's, which is Python, a thread of Arrow may still hold a
    file when the interpreter ends, and takes the process down with SIGABRT (seen once in ten ends).
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


@contextmanager
def storage_errors(verb: str, at: TableAddress) -> Iterator[None]:
    """Raise StorageError, or CorruptedError for a file that is gone or damaged, in place of what deltalake raises."""
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
