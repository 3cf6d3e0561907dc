"""The database of every store that people and decisions rely on: SQLite, or PostgreSQL."""

from mlops_dagster.database.engines import LOCK_TIMEOUT_SECONDS, open_database
from mlops_dagster.database.migrate import migrate
from mlops_dagster.database.transactions import looking, reading, writing

__all__ = ["LOCK_TIMEOUT_SECONDS", "looking", "migrate", "open_database", "reading", "writing"]
