"""Databases with tables, as copies: making them takes longer than most tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect

from mlops_dagster.database import migrate, open_database, writing
from mlops_dagster.database.migrate import VERSION_TABLE
from tests.support.channels.world import Fresh, World, copied, sqlite, world_on


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as environment:
        World(sqlite(folder), environment).close()
    return folder / "mlops.sqlite"


@pytest.fixture
def fresh(request: pytest.FixtureRequest, empty: Path) -> Fresh:
    """Of SQLite, unless the test is parametrized with the kinds of databases."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return lambda: copied(empty)
    url = request.getfixturevalue("postgresql")
    return lambda: _emptied(url)


@pytest.fixture
def world(fresh: Fresh) -> Iterator[World]:
    with fresh() as database, world_on(database) as made:
        yield made


@contextmanager
def _emptied(url: str) -> Iterator[str]:
    engine = open_database(url)
    migrate(engine)
    with writing(engine) as connection:
        tables = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
        # Triggers keep events from being removed.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
    engine.dispose()
    yield url
