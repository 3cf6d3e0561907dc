"""Deletion of Dagster's own history: old runs, with their events, the executions of their checks, and their output."""

from datetime import datetime
from pathlib import Path
from typing import Final

import dagster as dg

from mlops_dagster.components.compat import (
    NOT_FINISHED_STATUSES,
    AssetCheckExecutionsTable,
    SqlEventLogStorage,
    SqliteEventLogStorage,
)

_FINISHED: Final = [status for status in dg.DagsterRunStatus if status not in NOT_FINISHED_STATUSES]
_AT_ONCE: Final = 100


def delete_old_runs(instance: dg.DagsterInstance, before: datetime, *, dry_run: bool = False) -> int:
    """Delete the finished runs that were created before a time, with all that Dagster keeps of them; return how many.

    The materializations of their partitions go with them: what is made is known from our reports, for 31 days back.
    """
    old = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    if dry_run:
        return instance.get_runs_count(old)
    deleted = 0
    while runs := instance.get_runs(old, limit=_AT_ONCE):
        for run in runs:
            _delete(instance, run.run_id)
        deleted += len(runs)
    return deleted


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    # Dagster itself leaves these behind, for ever: a row for each check, and with SQLite an empty file for each run.
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    if isinstance(storage, SqliteEventLogStorage):
        shard = Path(storage.path_for_shard(run_id))
        for file in (shard, *(shard.with_name(shard.name + suffix) for suffix in ("-wal", "-shm"))):
            file.unlink(missing_ok=True)
