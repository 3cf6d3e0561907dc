"""The tables are made once, whole or not at all; a database of a newer release is refused with the reason."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from mlops_dagster import database
from mlops_dagster.access.token_store import TABLES as TOKENS
from mlops_dagster.alerting.beats import TABLES as BEATS
from mlops_dagster.alerting.delivery.tables import TABLES as DELIVERY
from mlops_dagster.alerting.life.tables import TABLES as ALERTS
from mlops_dagster.alerting.watches import TABLES as WATCHES
from mlops_dagster.database import migrate, open_database, use_wal
from mlops_dagster.database.migrate import HEAD, VERSION_TABLE, revision_of
from mlops_dagster.errors import StorageError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.registry.stores.tables import TABLES as REGISTRY
from mlops_dagster.reports.store import TABLES as REPORTS
from mlops_dagster.retention.record import TABLES as RETENTION
from mlops_dagster.rollout.store.rows import TABLES as ROLLOUTS


@pytest.fixture(autouse=True)
def _what_costs_much_is_done_once() -> None:
    """Here Alembic itself makes each database."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


def test_the_revisions_make_what_the_code_describes(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        every = [REGISTRY, ROLLOUTS, ALERTS, BEATS, DELIVERY, REPORTS, RETENTION, TOKENS, WATCHES]
        assert compare_metadata(context, every) == []
    engine.dispose()


def test_the_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def open_and_tell(url: str) -> str | None:
    engine = open_database(url)
    migrate(engine)
    with engine.connect() as connection:
        found = revision_of(connection)
    engine.dispose()
    return found


def test_processes_that_open_a_new_database_at_once_make_it_once(url: str) -> None:
    with ProcessPoolExecutor(4) as pool:
        assert list(pool.map(open_and_tell, [url] * 4)) == [HEAD] * 4


def wal_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        use_wal(connection)
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_processes_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Without the waiting some of these 800 are told that the file is locked."""
    with ProcessPoolExecutor(8) as pool:
        files = [tmp_path / f"{number}.sqlite" for number in range(100) for _ in range(8)]
        assert set(pool.map(wal_of, files)) == {"wal"}


def test_a_database_of_a_newer_release_is_left_alone(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608  # a constant
    with pytest.raises(StorageError, match="of a newer release: its schema is 9999, this code knows"):
        migrate(engine)
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    blocked = create_engine(open_database(url).url, connect_args=arguments(url))
    with blocked.begin() as connection:
        connection.execute(text("CREATE TABLE catalogues (mine INTEGER)"))  # one of the last that are to be made
    with pytest.raises(StorageError, match="already exists"):
        ModelRegistry(url)
    assert not inspect(blocked).has_table("versions")
    with blocked.begin() as connection:
        connection.execute(text("DROP TABLE catalogues"))
    blocked.dispose()
    registry = ModelRegistry(url)
    assert registry.audit().events == 0
    registry.close()


def arguments(url: str) -> dict[str, str]:
    return {} if url.startswith("sqlite") else {"options": url.partition("options=")[2].replace("%3D", "=")}
