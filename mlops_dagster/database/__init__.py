"""Engines, transactions and migrations of the database that stores use: SQLite, or PostgreSQL."""

from mlops_dagster.database.damage import set_aside_if_damaged, tell_of_dropped
from mlops_dagster.database.engines import open_database
from mlops_dagster.database.migrate import migrate
from mlops_dagster.database.removal import remove, removing
from mlops_dagster.database.transactions import looking, purge_database, reading, writing
from mlops_dagster.database.wal import LOCK_TIMEOUT_SECONDS, purge, use_wal

__all__ = [
    "LOCK_TIMEOUT_SECONDS",
    "looking",
    "migrate",
    "open_database",
    "purge",
    "purge_database",
    "reading",
    "remove",
    "removing",
    "set_aside_if_damaged",
    "tell_of_dropped",
    "use_wal",
    "writing",
]
