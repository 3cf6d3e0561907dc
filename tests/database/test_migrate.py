"""Databases of earlier releases, with data in them, are brought up to date; others are refused with the reason."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from mlops_dagster import database
from mlops_dagster.alerting.alerts import TABLES as ALERTS
from mlops_dagster.database import migrate, open_database, use_wal, writing
from mlops_dagster.database.migrate import HEAD, VERSION_TABLE, revision_of, upgrade
from mlops_dagster.errors import StorageError
from mlops_dagster.registry import GuardPolicy, Hold, ModelRegistry, Stage
from mlops_dagster.registry.stores.tables import TABLES as REGISTRY
from mlops_dagster.rollout import Phase
from mlops_dagster.rollout.store.rows import TABLES as ROLLOUTS
from mlops_dagster.rollout.store.store import RolloutStore

BEFORE_REVISIONS = Path(__file__).parent / "data" / "before_revisions.sql"
"""What commit 8891594 wrote: three versions, a canary, a promotion, a rollback and a running rollout."""
HEAD_THEN = "508f4337c696caae7857a67940eaaabef6a18de093a23191b563a214a8cfff23"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


def fill_from_before_revisions(url: str) -> None:
    """As that release left it: in SQLite without any revision, in PostgreSQL (which it did not know) at the first."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(BEFORE_REVISIONS.read_text())
        return
    engine = open_database(url)
    with writing(engine) as connection, closing(sqlite3.connect(":memory:")) as old:
        upgrade(connection, "0001")
        old.executescript(BEFORE_REVISIONS.read_text())
        old.row_factory = sqlite3.Row
        for table in ("versions", "deployments", "events", "acknowledgements", "rollouts", "decisions"):
            for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608  # a name from the line above
                values = {**row} | ({"rolled_back": bool(row["rolled_back"])} if table == "versions" else {})
                names = ", ".join(f'"{name}"' for name in values)
                marks = ", ".join(f":{name}" for name in values)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)  # noqa: S608
        for table in ("versions", "rollouts"):  # ids that were given go on from here
            counter = f"pg_get_serial_sequence('{table}', 'id')"
            connection.execute(text(f"SELECT setval({counter}, (SELECT max(id) FROM {table}))"))  # noqa: S608
    engine.dispose()


def test_an_older_database_keeps_everything_and_works_on(url: str, tmp_path: Path) -> None:
    fill_from_before_revisions(url)
    registry = ModelRegistry(url, actor="tester")
    assert (registry.audit().events, registry.audit().hash) == (10, HEAD_THEN)
    versions = {version.version: version for version in registry.list("flights")}
    assert {name: version.stage for name, version in versions.items()} == {
        "1.0.0": Stage.PRODUCTION,
        "1.1.0": Stage.DEPRECATED,
        "2.0.0-rc.1": Stage.REGISTERED,
    }
    assert versions["1.1.0"].rolled_back
    assert versions["1.0.0"].description == "é ☃"
    assert versions["1.0.0"].card is not None
    assert versions["1.0.0"].card.missing() == ()
    rollouts = RolloutStore(url)
    assert [(rollout.challenger, rollout.phase) for rollout in rollouts.list()] == [("1.1.0", Phase.SHADOW)]

    (tmp_path / "model.onnx").write_text("new bytes")
    registry.register("flights", tmp_path / "model.onnx", "2.0.0")
    registry.rollback("flights", reason="again", to="1.1.0")
    assert registry.deployment("flights").champion == "1.1.0"
    before = registry.deployment("flights")
    assert (before.on_hold, before.guard) == (None, GuardPolicy())
    registry.hold("flights", "bad rows")
    assert [event.deployment.on_hold for event in registry.history("flights")[-2:]] == [None, Hold("bad rows")]
    registry.audit()
    rollouts.close()
    registry.close()


def test_the_revisions_make_what_the_code_describes(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, [REGISTRY, ROLLOUTS, ALERTS]) == []
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
    fill_from_before_revisions(url)
    blocked = create_engine(open_database(url).url, connect_args=arguments(url))
    with blocked.begin() as connection:
        connection.execute(text("CREATE TABLE catalogues (mine INTEGER)"))  # what the second revision wants to make
    with pytest.raises(StorageError, match="already exists"):
        ModelRegistry(url)
    assert "signature" not in columns(blocked)
    with blocked.begin() as connection:
        connection.execute(text("DROP TABLE catalogues"))
    blocked.dispose()
    registry = ModelRegistry(url)
    assert registry.audit().events == 10
    registry.close()


def columns(engine: Engine) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns("versions")}


def arguments(url: str) -> dict[str, str]:
    return {} if url.startswith("sqlite") else {"options": url.partition("options=")[2].replace("%3D", "=")}
