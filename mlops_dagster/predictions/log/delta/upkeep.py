"""Changes of the files of Delta Lake tables: merges, deletions and removals. Imports pyarrow and deltalake."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Literal

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.log.delta.errors import storage_errors
from mlops_dagster.predictions.log.delta.tables import ATTEMPTS, make_durable, open_table, rows_of
from mlops_dagster.predictions.log.location import TableAddress

_FENCE = "mlops.fence"

_FILE_BYTES = 64 << 20
_WRITER = WriterProperties(compression="ZSTD", max_row_group_size=1 << 16)
_SMALL_FILES = 32
_ENTRY = ["request", "number"]  # columns of predictions and labels that tell one entry of the log from all others


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
        _drop_old(at, table)


def remove_old_files(at: TableAddress) -> None:
    """Remove the files and the entries of the table's own log that no version of the last week needs."""
    table = open_table(at)
    if table is not None:
        with storage_errors("remove old files of", at):
            _drop_old(at, table)


def _drop_old(at: TableAddress, table: DeltaTable) -> None:
    table.create_checkpoint()
    make_durable(at, table)
    table.cleanup_metadata()
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


def remove_refused_files(at: TableAddress, table: DeltaTable, chosen: pads.Expression) -> None:
    """Remove files with chosen rows that are in no version of the table, because another process appended these rows.

    Of two processes that append the same entries, the table takes one, and the file of the other stays where it is. It
    is told from a file of an append under way by its rows: the table has them.
    """
    rows = rows_of(at, table)
    files = rows.filesystem
    for path in table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=True, full=True):
        if path.startswith("_delta_log"):
            continue
        with suppress(FileNotFoundError, pa.ArrowInvalid):  # gone since, or not yet written to its end
            its = pads.dataset(path, rows.schema, filesystem=files, partitioning="hive")
            found = its.to_table(_ENTRY, filter=chosen)
            requests, numbers = (pads.field(name).isin(found[name].combine_chunks()) for name in _ENTRY)
            if found.num_rows and rows.count_rows(filter=chosen & requests & numbers):
                files.delete_file(path)


def remove_erased_files(at: TableAddress) -> None:
    """Remove all files that the newest version does not need; earlier versions of the table can no longer be read.

    Files of the last hour that are in no version are left to `tidy`, which removes them within a week: most belong to
    an append that is under way.
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
