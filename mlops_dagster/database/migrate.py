"""Migration of a database to the schema that this code is written for, by Alembic."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from mlops_dagster.database.transactions import reading, writing
from mlops_dagster.errors import StorageError

HEAD = "0001"
"""The revision that the tables in the code describe; a database at this revision is opened without Alembic's import."""

VERSION_TABLE = "mlops_revision"  # MLflow and Dagster keep an `alembic_version` of their own, maybe in this database
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Make the tables, or bring older tables and their rows up to date; all of it or nothing.

    Any number of processes may call it at once. Raises StorageError for a database of a newer release.
    """
    with reading(engine) as connection:
        if revision_of(connection) == HEAD:
            return
    with writing(engine) as connection:
        if revision_of(connection) != HEAD:
            upgrade(connection)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the database; None if it is empty, or no revision was ever run on it."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  # ours
    return found


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run the revisions up to `to` in the transaction of the caller."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise StorageError(
            f"the database is of a newer release: its schema is {revision_of(connection)}, this code knows {HEAD}; "
            "install the newer release of mlops_dagster"
        ) from error
